#if JWT
    public import Logging
    import Synchronization
    public import WeirNetwork

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Darwin)
        import Darwin
    #endif

    /// Knows peers by signed tokens (JWT, RFC 7519) that an issuer has given them.
    ///
    /// ```swift
    /// let tokens = try JWTAuthenticator(
    ///     issuer: "https://login.example", audience: "weir",
    ///     keys: .url("https://login.example/.well-known/jwks.json"))
    /// ServerSettings(host: "0.0.0.0", port: 8_443, access: AccessControl(tokens))
    /// ```
    ///
    /// A token has to be signed by a key of the issuer with an algorithm that is allowed, name the
    /// issuer and the audience, and be within its time. A token that was verified is not verified
    /// again while it is remembered, and no longer than it is valid.
    public final class JWTAuthenticator: Authenticator {
        /// What tokens have to fulfil, and how they are read.
        public struct Options: Sendable {
            /// Algorithms that are allowed; those with RSA keys, EC keys and Ed25519 by default.
            ///
            /// There is no `none`, and none with a shared secret (`HS256`).
            public var algorithms = JWTAlgorithmName.all
            /// How far the issuer's clock may be off; 30 s by default.
            public var leeway: Duration = .seconds(30)
            /// The role that each scope gives; `ingest`, `read` and `operate` by default.
            public var scopes: [String: AccessRoles] = [
                "ingest": .ingest, "read": .read, "operate": .operate,
            ]
            /// Tokens that are remembered; 10,000 by default.
            public var rememberedMax = 10_000
            /// The shortest time between two fetches of the keys; 10 s by default.
            ///
            /// A token with an unknown key has them fetched, whoever sends it.
            public var refreshInterval: Duration = .seconds(10)
            /// The age at which keys are fetched again; 1 h by default.
            public var refreshAge: Duration = .seconds(3_600)
            /// How long keys are used while fetching fails; 24 h by default.
            public var staleAge: Duration = .seconds(24 * 3_600)
            /// Times, bounds and trust for fetching keys; nothing of it may be shown to others.
            public var client = HTTPClient.Configuration()
            /// Where a failed fetch is told.
            public var logger = Logger(label: "weir.jwt")

            /// Seconds since 1970, for tests.
            package var now: @Sendable () -> Int = { time(nil) }

            /// Creates the default options.
            public init() {}
        }

        private let issuer: String
        private let audience: String
        private let options: Options
        private let keys: JWTKeySet
        private let leewaySeconds: Int
        private let remembered = Mutex<[[UInt8]: Identity]>([:])

        /// Knows those whom an issuer vouches for.
        ///
        /// - Parameters:
        ///   - issuer: The claim `iss` of all tokens.
        ///   - audience: What their claim `aud` is or contains.
        ///   - keys: Where the issuer's public keys are; fetched when the first token comes.
        /// - Throws: ``NetworkError`` when the address or the file cannot be used.
        public init(
            issuer: String, audience: String, keys: JWTKeySource, options: Options = Options()
        ) throws(NetworkError) {
            self.issuer = issuer
            self.audience = audience
            self.options = options
            leewaySeconds = Int(clamping: max(0, options.leeway.components.seconds))
            self.keys = try JWTKeySet(keys, options)
        }

        /// `Bearer`.
        public var challenge: String? { "Bearer" }

        /// Remembers who has shown this token before; else it has to be verified.
        public func authenticate(_ credentials: Credentials) -> AuthenticationVerdict {
            guard let token = credentials.bearerToken, token.utf8.count(where: { $0 == 0x2E }) == 2
            else { return .notMine }
            let digest = SHA256Digest.of([], Array(token.utf8))
            guard let identity = remembered.withLock({ $0[digest] }) else { return .pending }
            if let end = identity.expiresAt, end <= options.now() {
                remembered.withLock { $0[digest] = nil }
                return .refused(.expired)
            }
            return .accepted(identity)
        }

        /// Verifies a token, with keys that are fetched if need be.
        public func verify(_ credentials: Credentials) async -> AuthenticationVerdict {
            guard let token = credentials.bearerToken else { return .notMine }
            do {
                let identity = try await identity(of: token)
                remember(identity, SHA256Digest.of([], Array(token.utf8)))
                return .accepted(identity)
            } catch {
                return .refused(error.reason)
            }
        }

        private func identity(of token: String) async throws(Refusal) -> Identity {
            let header = try JWTHeaderFields(of: token, allowed: options.algorithms)
            let key = try await keys.key(header)
            let claims = try await key.verify(token)
            return try check(claims)
        }

        private func check(_ claims: JWTClaims) throws(Refusal) -> Identity {
            guard claims.iss == issuer, claims.audiences.contains(audience),
                let end = claims.exp.flatMap({ Int(exactly: $0.rounded(.down)) }),
                let name = claims.sub ?? claims.client_id ?? claims.azp, !name.isEmpty
            else { throw Refusal(.invalid) }
            let now = options.now()
            let (last, overflows) = end.addingReportingOverflow(leewaySeconds)
            guard !overflows else { throw Refusal(.invalid) }
            if last <= now { throw Refusal(.expired) }
            if let begin = claims.nbf, begin > Double(now + leewaySeconds) {
                throw Refusal(.invalid)
            }
            var roles: AccessRoles = []
            for scope in claims.scopes { roles.formUnion(options.scopes[scope] ?? []) }
            var attributes: [String: String] = [:]
            if let client = claims.client_id ?? claims.azp { attributes["client_id"] = client }
            return Identity(
                name, roles: roles, method: "jwt", expiresAt: last, attributes: attributes)
        }

        private func remember(_ identity: Identity, _ digest: [UInt8]) {
            let now = options.now()
            remembered.withLock { remembered in
                if remembered.count >= options.rememberedMax {
                    remembered = remembered.filter { ($0.value.expiresAt ?? .max) > now }
                }
                // All of them are valid: some token has to be verified again.
                if remembered.count >= options.rememberedMax {
                    remembered.removeAll(keepingCapacity: true)
                }
                if options.rememberedMax > 0 { remembered[digest] = identity }
            }
        }
    }

    /// Why a token does not count.
    struct Refusal: Error {
        let reason: AccessRefusal

        init(_ reason: AccessRefusal) { self.reason = reason }
    }
#endif
