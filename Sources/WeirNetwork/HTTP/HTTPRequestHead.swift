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
    public let keepsAlive: Bool

    /// Reads a head that ``HTTPHeadReader`` has found.
    ///
    /// - Throws: ``HTTPError`` with status 400, 417, 501 or 505.
    public init(parsing head: UnsafeRawBufferPointer) throws(HTTPError) {
        try self.init(HTTPRequestScan(head))
    }

    /// Copies what a scan has found.
    init(_ scan: HTTPRequestScan) throws(HTTPError) {
        method = scan.text(scan.method)
        target = scan.text(scan.target)
        path = scan.path.isEmpty ? "/" : scan.text(scan.path)
        query = scan.query.map { scan.text($0) }
        minorVersion = scan.minorVersion
        headers = try HTTPHeaders(parsing: scan[scan.headersStart..<scan.bytes.count])
        bodyLength = scan.bodyLength
        keepsAlive = scan.keepsAlive
    }

    static func minorVersion(_ text: Slice<UnsafeRawBufferPointer>) throws(HTTPError) -> Int {
        try HTTPRequestScan.minorVersion(UnsafeRawBufferPointer(rebasing: text))
    }
}
