#if JWT
    import HTTPTypes
    import JWTKit
    import Logging
    import WeirJSON
    import WeirNetwork

    /// Where an issuer's public keys are (JWKS, RFC 7517).
    public struct JWTKeySource: Sendable {
        enum Choice: Sendable {
            case url(String)
            case file(String)
        }
        let choice: Choice

        /// At an address, `https://` or loopback.
        public static func url(_ url: String) -> JWTKeySource {
            JWTKeySource(choice: .url(url))
        }

        /// In a file, which is read again when a token names a key that is not known.
        public static func file(_ path: String) -> JWTKeySource {
            JWTKeySource(choice: .file(path))
        }
    }

    /// The keys of an issuer as far as they are known, fetched when they have to be.
    actor JWTKeySet {
        private let source: JWTKeySource
        private let options: JWTAuthenticator.Options
        private let client: HTTPClient?
        private var keys: [JWTVerificationKey] = []
        private var fetchedAt: ContinuousClock.Instant?
        private var triedAt: ContinuousClock.Instant?
        private var fetch: Task<Void, Never>?

        /// Keys that are taken of one set.
        private static let keysMax = 100

        init(
            _ source: JWTKeySource, _ options: JWTAuthenticator.Options
        ) throws(NetworkError) {
            self.source = source
            self.options = options
            switch source.choice {
            case .url(let url):
                try HTTPClient.checkPrivate(url, for: "the keys of tokens")
                client = try HTTPClient(options.client)
            case .file(let path):
                client = nil
                keys = try Self.keys(in: SecretFile.read(path), path)
                fetchedAt = .now
                triedAt = .now
            }
        }

        /// The key that a token names.
        ///
        /// - Throws: ``Refusal`` with `invalid` when there is none, `unavailable` when no keys are
        ///   known at all.
        func key(_ header: JWTHeaderFields) async throws(Refusal) -> JWTVerifier {
            var found = find(header)
            let age = fetchedAt.map { .now - $0 }
            if found == nil || age.map({ $0 > options.refreshAge }) ?? true {
                // A known key need not wait for newer ones.
                let task = beginFetch()
                if found == nil { await task?.value }
                found = find(header)
            }
            guard let fetchedAt, .now - fetchedAt <= options.staleAge else {
                throw Refusal(.unavailable)
            }
            guard let found else { throw Refusal(.invalid) }
            return try await found.verifier(header.algorithm)
        }

        private func find(_ header: JWTHeaderFields) -> JWTVerificationKey? {
            let fitting = keys.filter { $0.fits(header.algorithm) }
            guard let id = header.keyID else { return fitting.count == 1 ? fitting[0] : nil }
            return fitting.first { $0.id == id }
        }

        /// Begins to fetch unless that is under way, or was tried a moment ago.
        private func beginFetch() -> Task<Void, Never>? {
            if let fetch { return fetch }
            if let triedAt, .now - triedAt < options.refreshInterval { return nil }
            triedAt = .now
            let task = Task { await self.refresh() }
            fetch = task
            return task
        }

        private func refresh() async {
            defer { fetch = nil }
            do {
                switch source.choice {
                case .file(let path): keys = try Self.keys(in: SecretFile.read(path), path)
                case .url(let url): keys = try await Self.load(url, client)
                }
                fetchedAt = .now
            } catch {
                options.logger.warning(
                    "the keys of tokens cannot be fetched; those from before are used",
                    metadata: ["error": "\(error)", "keys": "\(keys.count)"])
            }
        }

        private static func load(
            _ url: String, _ client: HTTPClient?
        ) async throws -> [JWTVerificationKey] {
            guard let client else { return [] }
            let (response, body) = try await client.send(.get, url)
            guard response.status == .ok else {
                throw NetworkError(
                    .protocolViolation, "the keys' address answers \(response.status.code)")
            }
            return try keys(in: String(decoding: body, as: UTF8.self), "the keys' address")
        }

        /// The usable keys of a set; others, for encryption or of unknown kinds, are left out.
        static func keys(
            in text: String, _ place: String
        ) throws(NetworkError) -> [JWTVerificationKey] {
            struct Keys: Decodable { var keys: [JWTVerificationKey.Fields] }
            let keys = Array(text.utf8).withUnsafeBytes {
                try? JSONEventDecoder().decode(Keys.self, from: $0)
            }
            guard let keys else {
                throw NetworkError(.protocolViolation, "\(place) has no set of keys (JWKS)")
            }
            let usable = keys.keys.compactMap { JWTVerificationKey($0) }.prefix(keysMax)
            guard !usable.isEmpty else {
                throw NetworkError(.protocolViolation, "\(place) has no key that can be used")
            }
            return Array(usable)
        }
    }

    /// A public key of a set.
    struct JWTVerificationKey: Sendable {
        struct Fields: Decodable, Sendable {
            var kty: String
            var kid: String?
            var use: String?
            var alg: String?
            var crv: String?
            var n: String?
            var e: String?
            var x: String?
            var y: String?
        }

        private let fields: Fields
        let id: String?

        /// Bytes of the shortest RSA modulus: 2048 bits (RFC 7518, 3.3).
        private static let modulusBytesMin = 256

        /// Takes a key that signatures can be checked with.
        init?(_ fields: Fields) {
            guard ["RSA", "EC", "OKP"].contains(fields.kty), fields.use ?? "sig" == "sig" else {
                return nil
            }
            if fields.kty == "RSA" {
                // jwt-kit itself would take shorter ones.
                let modulus = fields.n.flatMap { Base64URL.decode($0.utf8) } ?? []
                guard modulus.drop(while: { $0 == 0 }).count >= Self.modulusBytesMin else {
                    return nil
                }
            }
            self.fields = fields
            id = fields.kid
        }

        /// Whether the key is of the kind that an algorithm needs, and not kept for another one.
        func fits(_ algorithm: JWTAlgorithmName) -> Bool {
            fields.kty == algorithm.keyType.rawValue
                && (algorithm.curve == nil || fields.crv == algorithm.curve)
                && (fields.alg == nil || fields.alg == algorithm.description)
        }

        /// What checks signatures of this key and one algorithm, and no others.
        func verifier(_ algorithm: JWTAlgorithmName) async throws(Refusal) -> JWTVerifier {
            let id = JWKIdentifier(string: "key")
            let jwk: JWK
            switch algorithm.keyType {
            case .rsa:
                jwk = .rsa(
                    algorithm.algorithm, identifier: id, modulus: fields.n, exponent: fields.e)
            case .ecdsa:
                jwk = .ecdsa(
                    algorithm.algorithm, identifier: id, x: fields.x, y: fields.y,
                    curve: fields.crv.flatMap { ECDSACurve(rawValue: $0) })
            default:
                jwk = .octetKeyPair(
                    algorithm.algorithm, identifier: id, x: fields.x, y: nil,
                    curve: fields.crv.flatMap { EdDSACurve(rawValue: $0) })
            }
            // One key alone: jwt-kit takes another one for a name that it does not know.
            let collection = JWTKeyCollection()
            do {
                try await collection.add(jwk: jwk, isDefault: true)
            } catch {
                throw Refusal(.invalid)
            }
            return JWTVerifier(collection: collection)
        }
    }

    /// Checks signatures of one key and one algorithm.
    struct JWTVerifier: Sendable {
        let collection: JWTKeyCollection

        func verify(_ token: String) async throws(Refusal) -> JWTClaims {
            do {
                return try await collection.verify(token, as: JWTClaims.self)
            } catch {
                throw Refusal(.invalid)
            }
        }
    }
#endif
