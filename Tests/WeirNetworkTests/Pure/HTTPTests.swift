import Testing

@testable import WeirNetwork

@Suite struct `An HTTP request head` {
    /// What a reader makes of pieces: the heads' targets, then the status of a refusal.
    private func read(_ pieces: [[UInt8]], limits: HTTPLimits = HTTPLimits()) -> [String] {
        var reader = HTTPHeadReader(limits: limits)
        var seen: [String] = []
        for piece in pieces {
            var rest = piece[...]
            while !rest.isEmpty {
                do {
                    let used = try rest.withUnsafeBytes { bytes throws(HTTPError) in
                        try reader.consume(bytes) { head throws(HTTPError) in
                            seen.append(try HTTPRequestHead(parsing: head).target)
                        }
                    }
                    rest = rest.dropFirst(used)
                } catch {
                    return seen + ["\((error as? HTTPError)?.status ?? 0)"]
                }
            }
        }
        return seen
    }

    static let table: [(String, [String])] = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ["/"]),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ["/"]),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ["400"]),
        ("GET /a?b=c HTTP/1.0\r\n\r\nHEAD /d HTTP/1.1\r\nhost:e\r\n\r\n", ["/a?b=c", "/d"]),
        ("GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", ["http://a/b"]),
        ("GET / HTTP/1.1\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\nHost: a\n\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n", ["400"]),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", ["400"]),
        ("GET /\r\nHost: a\r\n\r\n", ["400"]),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", ["400"]),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", ["400"]),
        ("GET /\u{E9} HTTP/1.1\r\nHost: a\r\n\r\n", ["400"]),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", ["505"]),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", ["505"]),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", ["/"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", ["400"]),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            ["400"]
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", ["501"]),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ["400"]),
        ("\u{16}\u{3}\u{1}", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", ["417"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a-value-of-more-than-sixteen\u{7F}\r\n\r\n", ["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a value of more than\tsixteen\r\n\r\n", ["/"]),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", ["501"]),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", ["501"]),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", ["501"]),
        // Found by fuzzing: who reads the first line only sees no body.
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n",
            ["400"]
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            ["400"]
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", ["501"]),
        ("GET / HTTP/1.1\r\nHost: \r\n\r\n", ["/"]),
    ]

    @Test(arguments: table)
    func `is read the same over every cut`(_ text: String, _ expected: [String]) {
        let bytes = Array(text.utf8)
        #expect(read([bytes]) == expected)
        #expect(read(bytes.map { [$0] }) == expected)
        for cut in 0...bytes.count {
            #expect(read([Array(bytes[..<cut]), Array(bytes[cut...])]) == expected)
        }
    }

    @Test func `is bounded in bytes and in headers`() {
        var limits = HTTPLimits()
        limits.maximumHeadLength = 64
        limits.maximumHeaderCount = 2
        let fits = "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n"
        #expect(read([Array(fits.utf8)], limits: limits) == ["/"])
        let long = Array("GET /".utf8) + [UInt8](repeating: 0x61, count: 100)
        #expect(read([long], limits: limits) == ["414"])
        let header = Array("GET / HTTP/1.1\r\nX: ".utf8) + [UInt8](repeating: 0x61, count: 100)
        #expect(read([header], limits: limits) == ["431"])
        let many = "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\nY: c\r\n\r\n"
        #expect(read([Array(many.utf8)], limits: limits) == ["431"])
    }

    @Test func `gives method, path, query and headers`() throws {
        let text = "GET /p/q?a=b?c HTTP/1.1\r\nHost: h\r\nX-A:  one \t\r\nx-a: two,three\r\n\r\n"
        let head = try Array(text.utf8).withUnsafeBytes { bytes throws(HTTPError) in
            try HTTPRequestHead(parsing: bytes)
        }
        #expect(head.method == "GET")
        #expect(head.path == "/p/q")
        #expect(head.query == "a=b?c")
        #expect(head.headers["X-a"] == "one")
        #expect(head.headers.elements("X-A") == ["one", "two", "three"])
        #expect(head.keepsAlive)
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, close\r\n\r\n", false),
    ])
    func `says whether the connection stays open`(_ text: String, _ expected: Bool) throws {
        let head = try Array(text.utf8).withUnsafeBytes { bytes throws(HTTPError) in
            try HTTPRequestHead(parsing: bytes)
        }
        #expect(head.keepsAlive == expected)
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
    ])
    func `is answered with a date in the form of the RFC`(_ seconds: Int, _ expected: String) {
        #expect(HTTPDate.text(seconds) == expected)
    }
}

@Suite struct `A WebSocket handshake` {
    private func head(_ text: String) throws(HTTPError) -> HTTPRequestHead {
        var result = Result<HTTPRequestHead, HTTPError>.failure(HTTPError(0, ""))
        Array(text.utf8).withUnsafeBytes { bytes in
            result = Result { () throws(HTTPError) in try HTTPRequestHead(parsing: bytes) }
        }
        return try result.get()
    }

    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="

    static let table: [(String, Int?)] = [
        (request(), nil),
        (request(upgrade: "WebSocket, h2c", connection: "keep-alive, Upgrade"), nil),
        (request(method: "POST"), 405), (request(upgrade: "h2c"), 426),
        (request(upgrade: nil), 426),
        (request(connection: "close"), 400), (request(version: "12"), 426),
        (request(version: nil), 426), (request(key: "short"), 400), (request(key: nil), 400),
        (request(key: "dGhlIHNhbXBsZSBub25jZQ=!"), 400), (request(http: "1.0"), 400),
        (request(extra: "Sec-WebSocket-Key: \(key)\r\n"), 400),
    ]

    private static func request(
        method: String = "GET", http: String = "1.1", upgrade: String? = "websocket",
        connection: String = "Upgrade", version: String? = "13",
        key: String? = "dGhlIHNhbXBsZSBub25jZQ==", extra: String = ""
    ) -> String {
        "\(method) /chat HTTP/\(http)\r\nHost: a\r\n" + (upgrade.map { "Upgrade: \($0)\r\n" } ?? "")
            + "Connection: \(connection)\r\n"
            + (version.map { "Sec-WebSocket-Version: \($0)\r\n" } ?? "")
            + (key.map { "Sec-WebSocket-Key: \($0)\r\n" } ?? "") + extra + "\r\n"
    }

    @Test(arguments: table)
    func `is accepted or refused with the right status`(_ text: String, _ status: Int?) throws {
        let head = try head(text)
        do {
            let key = try WebSocketHandshake.key(of: head)
            #expect(status == nil)
            #expect(key == Self.key)
        } catch {
            #expect(error.status == status)
        }
    }

    @Test func `computes the example of RFC 6455`() {
        #expect(WebSocketHandshake.accept(for: Self.key) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test func `makes keys that the server side accepts`() throws {
        let text = WebSocketHandshake.request(
            host: "a:1", target: "/x", key: WebSocketHandshake.makeKey(), subprotocols: ["p"])
        let head = try head(text)
        _ = try WebSocketHandshake.key(of: head)
        #expect(head.headers.elements("Sec-WebSocket-Protocol") == ["p"])
    }

    @Test(arguments: [
        ("HTTP/1.1 101 x\r\n$Upgrade: websocket\r\nConnection: Upgrade\r\n", Int?.none),
        ("HTTP/1.1 404 Not Found\r\n", 404),
        (
            "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: no\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            502
        ),
        ("HTTP/1.1 101 x\r\n$Connection: Upgrade\r\n", 502),
        (
            "HTTP/1.1 101 x\r\n$Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: z\r\n",
            502
        ),
        (
            "HTTP/1.1 101 x\r\n$Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: z\r\n",
            502
        ),
    ])
    func `is checked by the client`(_ text: String, _ status: Int?) {
        let accept = "Sec-WebSocket-Accept: \(WebSocketHandshake.accept(for: Self.key))\r\n"
        let bytes = Array((text.split(separator: "$").joined(separator: accept) + "\r\n").utf8)
        var found: Int?
        bytes.withUnsafeBytes { bytes in
            do {
                _ = try WebSocketHandshake.agreement(
                    in: bytes, key: Self.key, subprotocols: ["p"], compression: nil)
            } catch {
                found = (error as? HTTPError)?.status
            }
        }
        #expect(found == status)
    }

    @Test(arguments: [
        ("ws://a", "a", 80, "/"), ("ws://a:1/b?c=d#e", "a", 1, "/b?c=d"),
        ("WS://[::1]:9", "::1", 9, "/"),
        ("ws://h?x", "h", 80, "/?x"),
    ])
    func `address is read`(_ text: String, _ host: String, _ port: Int, _ target: String) throws {
        let url = try NetworkURL(text, .webSocket)
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.target == target)
    }

    @Test(arguments: [
        "http://a", "ws://", "ws://a:0", "ws://a:x", "ws://a:70000", "ws://a b", "ws://u@a",
    ])
    func `address is refused when wrong`(_ text: String) {
        #expect(throws: NetworkError.self) { try NetworkURL(text, .webSocket) }
    }
}
