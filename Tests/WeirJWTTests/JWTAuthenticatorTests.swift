#if JWT
    import Foundation
    import HTTPTypes
    import JWTKit
    import Logging
    import Synchronization
    import Testing
    import WeirNetwork
    import WeirTestSupport

    @testable import WeirJWT

    /// An issuer: keys that sign, and a server that shows the public ones.
    private final class Issuer: Sendable {
        private struct State: Sendable {
            var shown = ""
            var fetches = 0
            var status = 200
            var now = 1_000_000
        }
        private let state = Mutex(State())
        let server: NetworkServer
        let address: SocketAddress

        init() async throws {
            server = try NetworkServer(.init(), loop: Loop(name: "issuer"))
            address = try await server.start()
            server.addHandler(.get, "/jwks.json") { [unowned self] _ in
                state.withLock { state in
                    state.fetches += 1
                    return HTTPReply(
                        status: state.status, contentType: "application/json",
                        body: state.shown.utf8)
                }
            }
        }

        var fetches: Int { state.withLock { $0.fetches } }
        var now: Int { state.withLock { $0.now } }
        func setTime(_ now: Int) { state.withLock { $0.now = now } }
        func show(_ keys: String..., status: Int = 200) {
            state.withLock { state in
                state.shown = #"{"keys":[\#(keys.joined(separator: ","))]}"#
                state.status = status
            }
        }

        func options(
            _ change: (inout JWTAuthenticator.Options) -> Void = { _ in }
        ) -> JWTAuthenticator.Options {
            var options = JWTAuthenticator.Options()
            options.now = { [self] in now }
            options.refreshInterval = .zero
            options.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            change(&options)
            return options
        }

        func authenticator(
            _ change: (inout JWTAuthenticator.Options) -> Void = { _ in }
        ) throws -> JWTAuthenticator {
            try JWTAuthenticator(
                issuer: "https://issuer", audience: "weir",
                keys: .url("http://\(address)/jwks.json"), options: options(change))
        }

        func stop() async {
            await server.stop()
            await server.loop.stop()
        }
    }

    /// A key that signs, and its public half.
    private struct Signer {
        let id: String
        let key = ES256PrivateKey()

        var jwk: String {
            get throws {
                let point = try #require(key.publicKey.parameters)
                let (x, y) = (url(point.x), url(point.y))
                return
                    #"{"kty":"EC","crv":"P-256","use":"sig","kid":"\#(id)","x":"\#(x)","y":"\#(y)"}"#
            }
        }

        private func url(_ text: String) -> String {
            text.replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
                .replacingOccurrences(of: "=", with: "")
        }

        func sign(_ claims: TestClaims = TestClaims(), header: JWTHeader = [:]) async throws
            -> String
        {
            let keys = JWTKeyCollection()
            await keys.add(ecdsa: key, kid: JWKIdentifier(string: id))
            return try await keys.sign(claims, kid: JWKIdentifier(string: id), header: header)
        }
    }

    /// Private RSA keys that nobody else has.
    private enum RSAKeyText {
        static func make() async throws -> String {
            let folder = try Folder()
            let openSSL = try ChildProcess(
                "/usr/bin/openssl",
                [
                    "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                    folder("key.pem"),
                ])
            try #require(await openSSL.waitForEnd().status == 0)
            return try String(contentsOfFile: folder("key.pem"), encoding: .utf8)
        }
    }

    private struct TestClaims: JWTPayload {
        var iss: String? = "https://issuer"
        var sub: String? = "till-7"
        var aud: [String]? = ["other", "weir"]
        var exp: Double? = 1_000_600
        var nbf: Double?
        var scope: String? = "openid ingest read"

        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    private func verdict(_ authenticator: JWTAuthenticator, _ token: String) async
        -> AuthenticationVerdict
    {
        let credentials = Credentials(bearerToken: token)
        let first = authenticator.authenticate(credentials)
        return first == .pending ? await authenticator.verify(credentials) : first
    }

    private let till = Identity(
        "till-7", roles: [.ingest, .read], method: "jwt", expiresAt: 1_000_630)

    @Suite(.timeLimit(.minutes(5))) struct `Tokens of an issuer` {
        @Test func `count when they are signed, and are verified once`() async throws {
            let (issuer, signer) = (try await Issuer(), Signer(id: "a"))
            try issuer.show(signer.jwk)
            let authenticator = try issuer.authenticator()
            let token = try await signer.sign()
            #expect(await verdict(authenticator, token) == .accepted(till))
            #expect(authenticator.authenticate(Credentials(bearerToken: token)) == .accepted(till))
            #expect(issuer.fetches == 1)
            // Other kinds of token are for others.
            for other in ["", "key", "a.b", "a.b.c.d"] {
                #expect(authenticator.authenticate(Credentials(bearerToken: other)) == .notMine)
            }
            // What is remembered ends with the token.
            issuer.setTime(1_000_630)
            #expect(await verdict(authenticator, token) == .refused(.expired))
            #expect(await verdict(authenticator, token) == .refused(.expired))
            await issuer.stop()
        }

        @Test func `do not count with other claims`() async throws {
            let (issuer, signer) = (try await Issuer(), Signer(id: "a"))
            try issuer.show(signer.jwk)
            let authenticator = try issuer.authenticator()
            let wrong: [(TestClaims, AccessRefusal)] = [
                (TestClaims(iss: "https://other"), .invalid), (TestClaims(iss: nil), .invalid),
                (TestClaims(aud: ["other"]), .invalid), (TestClaims(aud: nil), .invalid),
                (TestClaims(sub: nil), .invalid), (TestClaims(exp: nil), .invalid),
                (TestClaims(exp: 999_970), .expired), (TestClaims(exp: 1e300), .invalid),
                (TestClaims(nbf: 1_000_031), .invalid),
            ]
            for (claims, reason) in wrong {
                let token = try await signer.sign(claims)
                #expect(await verdict(authenticator, token) == .refused(reason), "\(claims)")
            }
            // Within the leeway, and without any scope that is known.
            for claims in [
                TestClaims(exp: 999_971, scope: nil), TestClaims(nbf: 1_000_030, scope: "x"),
            ] {
                let token = try await signer.sign(claims)
                let identity = try #require(await verdict(authenticator, token).identity)
                #expect(identity.roles == [])
            }
            await issuer.stop()
        }

        @Test func `count when they are signed with RSA or Ed25519`() async throws {
            let issuer = try await Issuer()
            let rsa = try Insecure.RSA.PrivateKey(pem: try await RSAKeyText.make())
            let (modulus, exponent) = try rsa.publicKey.getKeyPrimitives()
            let (n, e) = (Base64URL.encode([UInt8](modulus)), Base64URL.encode([UInt8](exponent)))
            // The key of RFC 8037, appendix A.
            let edwards = try EdDSA.PrivateKey(
                d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", curve: .ed25519)
            let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
            issuer.show(
                #"{"kty":"RSA","kid":"r","n":"\#(n)","e":"\#(e)"}"#,
                #"{"kty":"OKP","crv":"Ed25519","kid":"e","x":"\#(x)"}"#)
            let authenticator = try issuer.authenticator()
            let keys = JWTKeyCollection()
            await keys.add(rsa: rsa, digestAlgorithm: .sha256, kid: "r")
            await keys.add(eddsa: edwards, kid: "e")
            for id in ["r", "e"] {
                let kid = JWKIdentifier(string: id)
                let token = try await keys.sign(TestClaims(), kid: kid)
                #expect(await verdict(authenticator, token) == .accepted(till), "\(id)")
                let parts = token.split(separator: ".").map { String($0) }
                let other = "\(parts[0]).\(Base64URL.encode(Array("{}".utf8))).\(parts[2])"
                #expect(await verdict(authenticator, other) == .refused(.invalid), "\(id)")
            }
            await issuer.stop()
        }

        @Test func `do not count with another signature or algorithm`() async throws {
            let (issuer, signer) = (try await Issuer(), Signer(id: "a"))
            try issuer.show(signer.jwk)
            let authenticator = try issuer.authenticator()
            let token = try await signer.sign()
            let parts = token.split(separator: ".").map { String($0) }
            func header(_ text: String) -> String { Base64URL.encode(Array(text.utf8)) }
            // The public key's text as a shared secret, the classic confusion.
            let confused = JWTKeyCollection()
            await confused.add(
                hmac: HMACKey(from: try signer.jwk), digestAlgorithm: .sha256,
                kid: JWKIdentifier(string: "a"))
            let hmac = try await confused.sign(TestClaims(), kid: JWKIdentifier(string: "a"))
            // Another's key under the same name, and one that nobody knows.
            let stranger = try await Signer(id: "a").sign()
            let unknown = try await Signer(id: "b").sign()
            let wrong = [
                "\(header(#"{"alg":"none","kid":"a"}"#)).\(parts[1]).",
                "\(header(#"{"alg":"none","kid":"a"}"#)).\(parts[1]).\(parts[2])",
                "\(header(#"{"alg":"RS256","kid":"a"}"#)).\(parts[1]).\(parts[2])",
                "\(header(#"{"alg":"ES384","kid":"a"}"#)).\(parts[1]).\(parts[2])",
                "\(parts[0]).\(header(#"{"sub":"root"}"#)).\(parts[2])",
                "\(parts[0]).\(parts[1]).\(parts[2].dropLast(2))AA", "\(parts[0]).\(parts[1]).",
                "..", "!.!.!", hmac, stranger, unknown,
                try await signer.sign(header: ["crit": ["b64"]]),
            ]
            for token in wrong {
                #expect(await verdict(authenticator, token) == .refused(.invalid), "\(token)")
            }
            #expect(await verdict(authenticator, token) == .accepted(till))
            let strict = try issuer.authenticator { $0.algorithms = [.edDSA] }
            #expect(await verdict(strict, token) == .refused(.invalid))
            await issuer.stop()
        }

        @Test func `follow keys that change, and outlive a server that is away`() async throws {
            let issuer = try await Issuer()
            let (old, new) = (Signer(id: "a"), Signer(id: "b"))
            issuer.show("", status: 500)
            let authenticator = try issuer.authenticator()
            let (first, second) = (try await old.sign(), try await new.sign())
            #expect(await verdict(authenticator, first) == .refused(.unavailable))
            try issuer.show(old.jwk, #"{"kty":"oct","k":"AA"}"#, #"{"kty":"EC","use":"enc"}"#)
            #expect(await verdict(authenticator, first) == .accepted(till))
            #expect(await verdict(authenticator, second) == .refused(.invalid))
            try issuer.show(new.jwk, old.jwk)
            #expect(await verdict(authenticator, second) == .accepted(till))
            issuer.show("", status: 500)
            var claims = TestClaims()
            claims.exp = 1_000_601
            let third = try await new.sign(claims)
            // An unknown key has them fetched, which fails: the known ones are still used.
            #expect(
                await verdict(authenticator, try await Signer(id: "c").sign())
                    == .refused(.invalid))
            #expect(await verdict(authenticator, third).identity != nil)
            await issuer.stop()
        }

        @Test func `cannot have the keys fetched as often as somebody likes`() async throws {
            let (issuer, signer) = (try await Issuer(), Signer(id: "a"))
            try issuer.show(signer.jwk)
            let authenticator = try issuer.authenticator { $0.refreshInterval = .seconds(3_600) }
            for number in 0..<20 {
                let token = try await Signer(id: "x\(number)").sign()
                #expect(await verdict(authenticator, token) == .refused(.invalid))
            }
            #expect(issuer.fetches == 1)
            #expect(await verdict(authenticator, try await signer.sign()) == .accepted(till))
            await issuer.stop()
        }

        @Test func `need a safe source of keys`() throws {
            #expect(throws: NetworkError.self) {
                _ = try JWTAuthenticator(
                    issuer: "i", audience: "a", keys: .url("http://login.example/jwks.json"))
            }
            #expect(throws: NetworkError.self) {
                _ = try JWTAuthenticator(issuer: "i", audience: "a", keys: .file("/nonexistent"))
            }
        }

        @Test func `open a server's routes`() async throws {
            let (issuer, signer) = (try await Issuer(), Signer(id: "a"))
            let folder = FileManager.default.temporaryDirectory
                .appendingPathComponent("weir-\(UUID().uuidString).json")
            defer { try? FileManager.default.removeItem(at: folder) }
            try #"{"keys":[\#(signer.jwk)]}"#.write(to: folder, atomically: true, encoding: .utf8)
            var configuration = NetworkServer.Configuration()
            let authenticator = try JWTAuthenticator(
                issuer: "https://issuer", audience: "weir", keys: .file(folder.path),
                options: issuer.options())
            // The server compares with the real time.
            var claims = TestClaims()
            claims.exp = 4e9
            configuration.access = AccessControl(authenticator)
            let server = try NetworkServer(configuration)
            server.addHandler(.get, "/who") { .text($0.identity?.name ?? "nobody") }
            server.addHandler(.post, "/steer") { _ in .text("steered") }
            let address = try await server.start()
            var client = HTTPClient.Configuration()
            client.authorization = .bearer(try await signer.sign(claims))
            let answer = try await HTTPClient(client).send(.get, "http://\(address)/who")
            #expect(String(decoding: answer.body, as: UTF8.self) == "till-7")
            let steering = try await HTTPClient(client).send(.post, "http://\(address)/steer")
            #expect(steering.response.status.code == 403)
            await server.stop()
            await issuer.stop()
        }
    }
#endif
