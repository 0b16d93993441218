import COpenSSL

/// The opening handshake of RFC 6455, section 4; pure functions.
enum WebSocketHandshake {
    /// Checks a request for an upgrade and returns its key.
    ///
    /// - Throws: ``HTTPError`` with status 400, 405 or 426.
    static func key(of request: HTTPRequestHead) throws(HTTPError) -> String {
        let headers = request.headers
        guard request.method == "GET" else {
            throw HTTPError(405, "a WebSocket handshake is a GET")
        }
        guard headers.hasToken("websocket", in: "Upgrade") else {
            throw HTTPError(426, "this path speaks WebSocket only")
        }
        guard request.minorVersion >= 1 else {
            throw HTTPError(400, "a WebSocket handshake needs HTTP/1.1")
        }
        guard headers.hasToken("upgrade", in: "Connection") else {
            throw HTTPError(400, "the Connection header does not say Upgrade")
        }
        let versions = headers.values("Sec-WebSocket-Version")
        guard versions.count <= 1 else {
            throw HTTPError(400, "more than one Sec-WebSocket-Version")
        }
        guard versions.first == "13" else {
            throw HTTPError(426, "only WebSocket version 13 is spoken here")
        }
        let keys = headers.values("Sec-WebSocket-Key")
        guard keys.count == 1, isKey(keys[0]) else {
            throw HTTPError(400, "Sec-WebSocket-Key is not one key of 16 bytes in base64")
        }
        return keys[0]
    }

    /// Whether it is the base64 form of 16 bytes.
    private static func isKey(_ key: String) -> Bool {
        let bytes = Array(key.utf8)
        guard bytes.count == 24, bytes.suffix(2) == [0x3D, 0x3D] else { return false }
        return bytes.prefix(22).allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    /// The value of `Sec-WebSocket-Accept` for a key.
    static func accept(for key: String) -> String {
        let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        SHA1(text, text.count, &digest)
        return base64(digest)
    }

    static func base64(_ bytes: [UInt8]) -> String {
        var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
        return String(decoding: text.prefix(Int(count)), as: UTF8.self)
    }

    /// The response that accepts.
    static func response(
        key: String, subprotocol: String?, extensions: String? = nil
    ) -> HTTPResponseHead {
        var response = HTTPResponseHead(101)
        response.headers = [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept(for: key)),
        ]
        if let subprotocol { response.headers.append(("Sec-WebSocket-Protocol", subprotocol)) }
        if let extensions { response.headers.append(("Sec-WebSocket-Extensions", extensions)) }
        return response
    }

    // MARK: Client

    /// A fresh key.
    static func makeKey() -> String {
        var generator = SystemRandomNumberGenerator()
        return base64((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    /// The request of a client.
    static func request(
        host: String, target: String, key: String, subprotocols: [String],
        headers: [String: String] = [:], extensions: String? = nil
    ) -> String {
        var text = "GET \(target) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\n"
        text += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \(key)\r\n"
        if !subprotocols.isEmpty {
            text += "Sec-WebSocket-Protocol: \(subprotocols.joined(separator: ", "))\r\n"
        }
        if let extensions { text += "Sec-WebSocket-Extensions: \(extensions)\r\n" }
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            text += "\(name): \(value)\r\n"
        }
        return text + "\r\n"
    }

    /// Checks that subprotocols and headers can stand in a request.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` with the name of the one that can't.
    static func check(_ configuration: WebSocketClientConfiguration) throws(NetworkError) {
        func isToken(_ text: String) -> Bool {
            !text.isEmpty && text.utf8.allSatisfy(HTTPSyntax.isToken)
        }
        for name in configuration.subprotocols where !isToken(name) {
            throw NetworkError(.invalidArgument, "the subprotocol '\(name)' is not a token")
        }
        for (name, value) in configuration.headers {
            let isText = value.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }
            guard isToken(name), isText else {
                throw NetworkError(.invalidArgument, "the header '\(name)' is not valid")
            }
        }
    }

    /// What a server has agreed to.
    struct Agreement {
        var subprotocol: String?
        var deflate: DeflateAgreement?
    }

    /// Checks a server's answer and returns what it chose of the offers.
    ///
    /// - Throws: ``HTTPError`` with the server's status, or 502 for a false answer.
    static func agreement(
        in head: UnsafeRawBufferPointer, key: String, subprotocols: [String],
        compression: WebSocketCompression?
    ) throws(HTTPError) -> Agreement {
        guard let end = head.firstIndex(of: 0x0D) else { throw HTTPError(502, "no status line") }
        let parts = head[..<end].split(
            separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, let status = Int(String(decoding: parts[1], as: UTF8.self)) else {
            throw HTTPError(502, "the status line is not one of HTTP/1.1")
        }
        let minorVersion = try HTTPRequestHead.minorVersion(parts[0])
        guard status == 101 else { throw HTTPError(status, "the server refused the handshake") }
        let lines = UnsafeRawBufferPointer(rebasing: head[min(end + 2, head.count)...])
        let headers = try HTTPHeaders(parsing: lines)
        guard minorVersion >= 1, headers.hasToken("websocket", in: "Upgrade"),
            headers.hasToken("upgrade", in: "Connection"),
            headers.values("Sec-WebSocket-Accept") == [accept(for: key)]
        else { throw HTTPError(502, "the server's handshake is not valid") }
        let deflate = try DeflateNegotiation.agree(
            headers.elements("Sec-WebSocket-Extensions"), compression)
        let chosen = headers.values("Sec-WebSocket-Protocol")
        guard chosen.count <= 1, chosen.allSatisfy(subprotocols.contains) else {
            throw HTTPError(502, "the server chose a subprotocol that was not offered")
        }
        return Agreement(subprotocol: chosen.first, deflate: deflate)
    }
}
