/// The request line and headers of an HTTP/1.x request, checked strictly (RFC 9112).
public struct HTTPRequestHead: Sendable, Hashable {
    /// The method, for instance `GET`; case matters.
    public let method: String
    /// The target as sent, for instance `/payments?since=1`.
    public let target: String
    /// The target's path, without host and query.
    public let path: String
    /// What follows the first `?` of the target.
    public let query: String?
    /// 0 for HTTP/1.0, 1 for HTTP/1.1 and later 1.x.
    public let minorVersion: Int
    /// The headers.
    public let headers: HTTPHeaders
    /// Bytes of body that follow; `nil` for a body in chunks.
    public let bodyLength: Int?

    /// Whether the connection stays open after the response (RFC 9112, 9.3).
    public var keepsAlive: Bool {
        if headers.hasToken("close", in: "Connection") { return false }
        return minorVersion >= 1 || headers.hasToken("keep-alive", in: "Connection")
    }

    /// Reads a head that ``HTTPHeadReader`` has found.
    ///
    /// - Throws: ``HTTPError`` with status 400, 501 or 505.
    public init(parsing head: UnsafeRawBufferPointer) throws(HTTPError) {
        guard let end = head.firstIndex(of: 0x0D) else { throw HTTPError(400, "no request line") }
        let parts = head[..<end].split(
            separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw HTTPError(400, "a request line has three parts") }
        guard !parts[0].isEmpty, parts[0].allSatisfy(HTTPSyntax.isToken) else {
            throw HTTPError(400, "the method is not a token")
        }
        method = String(decoding: parts[0], as: UTF8.self)
        minorVersion = try Self.minorVersion(parts[2])
        guard !parts[1].isEmpty, parts[1].allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw HTTPError(400, "the target has characters that are not allowed")
        }
        target = String(decoding: parts[1], as: UTF8.self)
        (path, query) = try Self.pathAndQuery(target, method)
        let lines = UnsafeRawBufferPointer(rebasing: head[min(end + 2, head.count)...])
        headers = try HTTPHeaders(parsing: lines)
        try Self.checkHost(headers, minorVersion)
        bodyLength = try Self.bodyLength(headers, minorVersion)
    }

    static func minorVersion(
        _ text: Slice<UnsafeRawBufferPointer>
    ) throws(HTTPError) -> Int {
        let bytes = Array(text)
        guard bytes.count == 8, bytes.starts(with: "HTTP/".utf8), HTTPSyntax.isDigit(bytes[5]),
            bytes[6] == UInt8(ascii: "."), HTTPSyntax.isDigit(bytes[7])
        else { throw HTTPError(400, "the version is not of the form HTTP/1.1") }
        guard bytes[5] == UInt8(ascii: "1") else {
            throw HTTPError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        return bytes[7] == UInt8(ascii: "0") ? 0 : 1
    }

    private static func pathAndQuery(
        _ target: String, _ method: String
    ) throws(HTTPError) -> (String, String?) {
        var origin = Substring(target)
        if target == "*" {
            guard method == "OPTIONS" else { throw HTTPError(400, "the target is not a path") }
            return ("*", nil)
        }
        for scheme in ["http://", "ws://"] where target.lowercased().hasPrefix(scheme) {
            let rest = origin.dropFirst(scheme.count)
            origin = rest.firstIndex { $0 == "/" || $0 == "?" }.map { rest[$0...] } ?? "/"
            if origin.hasPrefix("?") { origin = "/" + origin }
        }
        guard origin.hasPrefix("/") else { throw HTTPError(400, "the target is not a path") }
        guard let mark = origin.firstIndex(of: "?") else { return (String(origin), nil) }
        return (String(origin[..<mark]), String(origin[origin.index(after: mark)...]))
    }

    private static func checkHost(
        _ headers: HTTPHeaders, _ minorVersion: Int
    ) throws(HTTPError) {
        let hosts = headers.values("Host")
        if hosts.count > 1 { throw HTTPError(400, "more than one Host header") }
        if hosts.isEmpty, minorVersion > 0 { throw HTTPError(400, "no Host header") }
        let forbidden = " \t/\\@?#,<>\""
        if let host = hosts.first, host.contains(where: { forbidden.contains($0) || !$0.isASCII }) {
            throw HTTPError(400, "the Host header is not a host")
        }
    }

    private static func bodyLength(
        _ headers: HTTPHeaders, _ minorVersion: Int
    ) throws(HTTPError) -> Int? {
        let codings = headers.elements("Transfer-Encoding")
        let hasCoding = !headers.values("Transfer-Encoding").isEmpty
        let lengths = headers.values("Content-Length")
        if lengths.count > 1 { throw HTTPError(400, "more than one Content-Length") }
        if hasCoding {
            if !lengths.isEmpty {
                throw HTTPError(400, "both Transfer-Encoding and Content-Length")
            }
            if minorVersion == 0 { throw HTTPError(400, "Transfer-Encoding in HTTP/1.0") }
            guard codings.count == 1, HTTPHeaders.areEqual(codings[0], "chunked") else {
                throw HTTPError(501, "the transfer coding is not supported")
            }
            return nil
        }
        guard let text = lengths.first else { return 0 }
        guard !text.isEmpty, text.utf8.count <= 18, text.utf8.allSatisfy(HTTPSyntax.isDigit),
            let length = Int(text)
        else { throw HTTPError(400, "Content-Length is not a number") }
        return length
    }
}
