/// What a client has to know of a response's head (RFC 9112, 6.3).
struct HTTPResponseScan {
    enum Length { case none, counted(Int), chunked, untilClose }

    let status: Int
    let headers: HTTPHeaders
    let length: Length

    /// Reads a head that ``HTTPHeadReader`` has found; as strict as with requests.
    ///
    /// - Throws: ``HTTPError`` 502 for what is no response of HTTP/1.x.
    init(_ head: UnsafeRawBufferPointer, isHEAD: Bool) throws(HTTPError) {
        guard let end = head.firstIndex(of: 0x0D) else { throw HTTPError(502, "no status line") }
        let parts = head[..<end].split(
            separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[1].count == 3, parts[1].allSatisfy(HTTPSyntax.isDigit),
            let status = Int(String(decoding: parts[1], as: UTF8.self)), status >= 100
        else { throw HTTPError(502, "the status line is not one of HTTP/1.1") }
        let minorVersion = try HTTPRequestHead.minorVersion(parts[0])
        self.status = status
        let start = min(end + 2, head.count)
        headers = try HTTPHeaders(parsing: UnsafeRawBufferPointer(rebasing: head[start...]))
        length = try Self.length(headers, status, minorVersion, isHEAD)
    }

    private static func length(
        _ headers: HTTPHeaders, _ status: Int, _ minorVersion: Int, _ isHEAD: Bool
    ) throws(HTTPError) -> Length {
        let lengths = headers.values("Content-Length")
        let codings = headers.values("Transfer-Encoding")
        if lengths.count > 1 { throw HTTPError(502, "more than one Content-Length") }
        if !codings.isEmpty {
            guard lengths.isEmpty, minorVersion >= 1, codings.count == 1,
                HTTPHeaders.areEqual(codings[0], "chunked")
            else { throw HTTPError(502, "the response's length is ambiguous") }
        }
        if isHEAD || status < 200 || status == 204 || status == 304 { return .none }
        if !codings.isEmpty { return .chunked }
        guard let text = lengths.first else { return .untilClose }
        var result: Result<Int, HTTPError> = .success(0)
        Array(text.utf8).withUnsafeBytes { bytes in
            result = Result { () throws(HTTPError) in try HTTPRequestScan.length(bytes) }
        }
        return .counted(try result.get())
    }
}
