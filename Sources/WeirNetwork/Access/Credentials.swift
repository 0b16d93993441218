import COpenSSL

/// What a peer has shown of itself; its text forms tell no secret.
public struct Credentials: Sendable {
    /// The token of `Authorization: Bearer`, of a WebSocket subprotocol, or of a TCP frame.
    public let bearerToken: String?
    /// The value of `X-API-Key`.
    public let apiKey: String?
    /// Who the peer is by its TLS certificate, which was verified; nil without one.
    public let peer: PeerIdentity?
    /// Where the peer is.
    public let remoteAddress: SocketAddress?

    /// Describes what was shown.
    public init(
        bearerToken: String? = nil, apiKey: String? = nil, peer: PeerIdentity? = nil,
        remoteAddress: SocketAddress? = nil
    ) {
        self.bearerToken = bearerToken
        self.apiKey = apiKey
        self.peer = peer
        self.remoteAddress = remoteAddress
    }

    /// Bytes of the longest token that is looked at.
    static let tokenBytesMax = 16 * 1_024
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Which kinds there are, and nothing of them.
    public var description: String {
        var kinds: [String] = []
        if bearerToken != nil { kinds.append("a bearer token") }
        if apiKey != nil { kinds.append("an API key") }
        if let peer { kinds.append("the certificate of \(peer.subject)") }
        return kinds.isEmpty ? "nothing" : kinds.joined(separator: ", ")
    }

    /// The same.
    public var debugDescription: String { description }

    /// Shows the description alone.
    public var customMirror: Mirror { Mirror(self, children: ["shown": description]) }
}

extension Credentials {
    /// The subprotocol that a browser names beside the one with its token, to have one agreed on.
    static let markerSubprotocol = "weir.bearer"
    /// What a subprotocol with a token begins with; the token follows as base64url.
    static let tokenSubprotocolPrefix = "weir.bearer."

    /// What a request shows.
    ///
    /// - Throws: ``HTTPError`` 400 for more than one `Authorization`, or one that is ambiguous.
    init(
        _ request: HTTPRequestScan, _ connection: TCPConnection, queryName: String?
    ) throws(HTTPError) {
        var token: String?
        var key: String?
        var offered: [String] = []
        var count = 0
        request.forEachHeader { name, value in
            switch name.count {
            case 13 where HTTPSyntax.equals(name, "authorization"):
                count += 1
                token = Self.bearer(value)
            case 9 where HTTPSyntax.equals(name, "x-api-key"):
                count += 1
                key = String(decoding: value, as: UTF8.self)
            case 22 where HTTPSyntax.equals(name, "sec-websocket-protocol"):
                HTTPSyntax.forEachElement(value) { element in
                    let text = String(decoding: element, as: UTF8.self)
                    if text.hasPrefix(Self.tokenSubprotocolPrefix) { offered.append(text) }
                }
            default: break
            }
        }
        if let text = offered.first {
            count += offered.count
            token = Self.token(inSubprotocol: text)
        }
        if let queryName, let query = request.query,
            let text = Self.token(named: queryName, inQuery: request.text(query))
        {
            count += 1
            token = text
        }
        if count > 1 { throw HTTPError(400, "credentials are shown in more than one way") }
        self.init(
            bearerToken: token, apiKey: key, peer: connection.tlsInfo?.peer,
            remoteAddress: connection.remoteAddress)
    }

    /// The token of a header's value `Bearer TOKEN`; empty for another scheme, which is refused.
    static func bearer(_ value: UnsafeRawBufferPointer) -> String {
        let space = value.firstIndex(of: 0x20) ?? value.count
        let scheme = UnsafeRawBufferPointer(rebasing: value[..<space])
        guard HTTPSyntax.equals(scheme, "bearer"), space < value.count else { return "" }
        let range = HTTPSyntax.trimmed(value, space..<value.count)
        return String(decoding: value[range], as: UTF8.self)
    }

    /// The token in `weir.bearer.BASE64URL`; empty when it is none.
    static func token(inSubprotocol text: String) -> String {
        let encoded = text.dropFirst(tokenSubprotocolPrefix.count)
        guard let bytes = Base64URL.decode(encoded.utf8) else { return "" }
        return String(validating: bytes, as: UTF8.self) ?? ""
    }

    /// The value of a query's parameter, as far as it is visible ASCII.
    static func token(named name: String, inQuery query: String) -> String? {
        for part in query.utf8.split(separator: UInt8(ascii: "&")) {
            let pair = part.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, pair[0].elementsEqual(name.utf8) else { continue }
            return PercentEncoding.decode(pair[1]) ?? ""
        }
        return nil
    }
}

extension HTTPRequestScan {
    /// Gives all header lines; their form was checked when the scan was made.
    func forEachHeader(
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) {
        var start = headersStart
        while start < bytes.count,
            let end = bytes[start...].firstIndex(of: 0x0D), end > start,
            let (name, value) = try? Self.field(bytes, start, end)
        {
            body(self[name], self[value])
            start = end + 2
        }
    }
}

/// Bytes as base64url without padding (RFC 4648, section 5).
package enum Base64URL {
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count <= Credentials.tokenBytesMax, text.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var bits = 0
        var held = 0
        for byte in text {
            guard let value = value(of: byte) else { return nil }
            bits = bits << 6 | value
            held += 6
            if held >= 8 {
                held -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> held))
                bits &= (1 << held) - 1
            }
        }
        return bytes
    }

    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        let standard = WebSocketHandshake.base64(Array(bytes))
        let mapped = standard.utf8.compactMap { byte -> UInt8? in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: byte
            }
        }
        return String(decoding: mapped, as: UTF8.self)
    }

    private static func value(of byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): Int(byte) - 0x41
        case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(byte) - 0x61 + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) - 0x30 + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}

/// Texts in which `%41` stands for a byte (RFC 3986, 2.1).
enum PercentEncoding {
    static func decode(_ text: some Collection<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var iterator = text.makeIterator()
        while let byte = iterator.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = iterator.next().flatMap(HTTPSyntax.hexadecimal),
                let low = iterator.next().flatMap(HTTPSyntax.hexadecimal)
            else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The text as a value of `application/x-www-form-urlencoded`.
    static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                bytes.append(byte)
            default:
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
