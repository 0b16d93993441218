import Foundation
import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite struct `API keys` {
    private static let digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

    private func verdict(_ keys: APIKeys, _ key: String) -> AuthenticationVerdict {
        keys.authenticate(Credentials(apiKey: key))
    }

    @Test func `are known by their hash alone`() throws {
        // SHA-256 of "foo".
        let keys = try APIKeys([
            .init("plain", roles: .ingest, sha256: Self.digest),
            .init("salted", roles: [.read, .operate], key: "bar"),
        ])
        #expect(
            verdict(keys, "foo") == .accepted(Identity("plain", roles: .ingest, method: "api-key")))
        #expect(
            verdict(keys, "bar")
                == .accepted(Identity("salted", roles: [.read, .operate], method: "api-key")))
        #expect(verdict(keys, "fop") == .refused(.invalid))
        #expect(verdict(keys, "") == .refused(.invalid))
        #expect(keys.authenticate(Credentials(bearerToken: "foo")) == verdict(keys, "foo"))
        // Another authenticator may know the token.
        #expect(keys.authenticate(Credentials(bearerToken: "fop")) == .notMine)
        #expect(keys.authenticate(Credentials()) == .notMine)
    }

    @Test func `come from a file and go back into its lines`() throws {
        let folder = try Folder()
        let path = "\(folder.path)/keys"
        let salted = APIKeys.Entry("till-8", roles: .all, key: "bar")
        let text = "# people\n\ntill-7 ingest,read sha256:\(Self.digest)\r\n\(salted.line)\n"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        let keys = try APIKeys(file: path)
        #expect(
            verdict(keys, "foo")
                == .accepted(Identity("till-7", roles: [.ingest, .read], method: "api-key")))
        #expect(
            verdict(keys, "bar") == .accepted(Identity("till-8", roles: .all, method: "api-key")))
    }

    @Test(arguments: [
        "till-7 ingest", "till-7 inject sha256:\(digest)", "till-7 ingest md5:00",
        "till-7 ingest sha256:00", "till-7 ingest sha256:zz:\(digest)",
        "till-7 ingest sha256::\(digest)", "till-7 ingest sha256:00:00:\(digest)",
    ])
    func `in a wrong line keep the file from being used`(line: String) throws {
        let folder = try Folder()
        let path = "\(folder.path)/keys"
        try "# first\n\(line)\n".write(toFile: path, atomically: false, encoding: .utf8)
        let error = #expect(throws: NetworkError.self) { _ = try APIKeys(file: path) }
        #expect(error?.message.contains("line 2") == true)
        #expect(throws: NetworkError.self) { _ = try APIKeys(file: path + "-none") }
    }

    @Test func `are made at random, and shown nowhere`() {
        let key = APIKeys.makeKey()
        #expect(key.utf8.count == 48 && key != APIKeys.makeKey())
        let shown = Credentials(bearerToken: key, apiKey: key)
        let texts = ["\(shown)", String(reflecting: shown), "\(ClientAuthorization.bearer(key))"]
        #expect(texts.allSatisfy { !$0.contains(key) })
        var dumped = ""
        dump(shown, to: &dumped)
        dump(ClientAuthorization.apiKey(key), to: &dumped)
        #expect(!dumped.contains(key))
    }
}

@Suite struct `The parts of access control` {
    @Test func `tell loopback and blocks of addresses`() throws {
        #expect(isLoopback("localhost") && isLoopback("127.1.2.3") && isLoopback("::1"))
        for host in ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com", "::2", "box"] {
            #expect(!isLoopback(host), "\(host)")
        }
        func block(_ ip: String) throws -> AddressBlock {
            AddressBlock(try #require(SocketAddress(ip: ip, port: 1)))
        }
        #expect(try block("2001:db8::1") == block("2001:db8::ffff:1"))
        #expect(try block("2001:db8:0:1::1") != block("2001:db8::1"))
        #expect(try block("::ffff:10.0.0.1") == block("10.0.0.1"))
        #expect(try block("10.0.0.1") != block("10.0.0.2"))
        #expect(try block("::1").isLoopback && !block("::2").isLoopback)
    }

    @Test func `find what a path needs`() {
        var access = AccessControl()
        #expect(access.requirement("/a", .read) == .read)
        access.routes = ["/a/": .operate, "/a/b/": [], "/a/b/c": .ingest]
        #expect(access.requirement("/a", .read) == .read)
        #expect(access.requirement("/a/x", .read) == .operate)
        #expect(access.requirement("/a/b/x", .read) == [])
        #expect(access.requirement("/a/b/c", .read) == .ingest)
    }

    @Test func `read tokens wherever they are`() {
        let token = "päß.wör-d_"
        let encoded = Base64URL.encode(Array(token.utf8))
        #expect(encoded.utf8.allSatisfy(HTTPSyntax.isToken))
        #expect(Credentials.token(inSubprotocol: "weir.bearer.\(encoded)") == token)
        #expect(Credentials.token(inSubprotocol: "weir.bearer.a") == "")
        #expect(Credentials.token(inSubprotocol: "weir.bearer.a=") == "")
        let query = "x=1&key=\(PercentEncoding.encode(token))&key=2"
        #expect(Credentials.token(named: "key", inQuery: query) == token)
        #expect(Credentials.token(named: "other", inQuery: query) == nil)
        #expect(Credentials.token(named: "key", inQuery: "key=%4") == "")
        for value in ["Basic abc", "Bearer", "bearer"] {
            Array(value.utf8).withUnsafeBytes { #expect(Credentials.bearer($0) == "") }
        }
        Array("bEARER  abc".utf8).withUnsafeBytes { #expect(Credentials.bearer($0) == "abc") }
    }

    @Test func `keep a rate with a burst, and count what is beyond as debt`() {
        let bucket = TokenBucket(RateLimit(eventsPerSecond: 10, burst: 5), now: 1_000)
        #expect(bucket.isFull(now: 1_000))
        bucket.charge(5, now: 1_000)
        #expect(bucket.wait(now: 1_000) == 0)
        bucket.charge(20, now: 1_000)
        #expect(bucket.wait(now: 1_000) == 2_000)
        #expect(bucket.wait(now: 2_000) == 1_000)
        // A clock that goes back gives nothing away.
        #expect(bucket.wait(now: 1_500) == 1_000)
        #expect(bucket.wait(now: 3_000) == 0)
        #expect(!bucket.isFull(now: 3_100) && bucket.isFull(now: 4_000))
        #expect(RateLimit(eventsPerSecond: -1).eventsPerSecond > 0)
        #expect(RateLimit(eventsPerSecond: .infinity).burst > 0)
    }

    @Test func `bound what an identity brings along`() {
        let many = Dictionary(uniqueKeysWithValues: (0..<99).map { ("\($0)", "x") })
        let identity = Identity(
            "a\nb" + String(repeating: "ä", count: 200), roles: .read, method: "x",
            attributes: many.merging(["long": String(repeating: "x", count: 999)]) { $1 })
        #expect(identity.name.hasPrefix("a?bä") && identity.name.utf8.count <= 128)
        #expect(identity.attributes.count == 16 && identity.attributes["long"] == nil)
        let info = ConnectionInfo(remoteAddress: "[::1]:1", identity: identity)
        #expect(ConnectionInfo(recorded: info.recorded) == info)
        #expect(ConnectionInfo(recorded: "[::1]:1") == ConnectionInfo(remoteAddress: "[::1]:1"))
        let peer = PeerIdentity(
            subject: "CN=a", commonName: "a", names: [], otherNames: [], issuer: "CN=b",
            serialNumber: "1", fingerprint: "2")
        for identity in [identity, nil] {
            let both = ConnectionInfo(remoteAddress: "a", peer: peer, identity: identity)
            #expect(ConnectionInfo(recorded: both.recorded) == both)
        }
    }
}
