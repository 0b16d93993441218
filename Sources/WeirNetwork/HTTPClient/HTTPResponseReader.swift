/// Reads the responses of one connection, one after the other and in any pieces (RFC 9112).
package struct HTTPResponseReader {
    /// A response that is complete.
    package struct Response: Sendable, Equatable {
        /// The status; never an interim one.
        package let status: Int
        /// Whether the connection can carry another request.
        package let keepsConnection: Bool
    }

    private let isHEAD: Bool
    private let limits: HTTPBodyLimits
    private var head: HTTPHeadReader
    private var body: HTTPBodyReader?
    private var current: Response?

    /// Begins with nothing read; responses to HEAD have no body.
    package init(isHEAD: Bool, http: HTTPLimits = HTTPLimits(), body limits: HTTPBodyLimits) {
        self.isHEAD = isHEAD
        self.limits = limits
        head = HTTPHeadReader(limits: http)
    }

    /// Takes all bytes; returns those that were of bodies.
    ///
    /// - Parameter onResponse: Gets each response that is complete with these bytes.
    /// - Throws: ``HTTPError`` for what is no response of HTTP/1.1, or is above a limit.
    package mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ onResponse: (Response) -> Void
    ) throws(HTTPError) -> Int {
        var position = 0
        var bodyBytes = 0
        while position < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
            if body == nil {
                position += try readHead(rest)
            } else {
                position +=
                    try body?.consume(rest) { part in
                        bodyBytes += part.count
                        return part.count
                    } ?? 0
            }
            if body?.isComplete == true { finish(onResponse) }
        }
        return bodyBytes
    }

    /// The connection has ended: the response that ends with it, if there is one.
    package mutating func end() -> Response? {
        guard body?.endsWithConnection == true else { return nil }
        body = nil
        return current
    }

    private mutating func finish(_ onResponse: (Response) -> Void) {
        body = nil
        if let current { onResponse(current) }
        current = nil
    }

    private mutating func readHead(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> Int {
        let isHEAD = isHEAD
        var scan: HTTPResponseScan?
        var isOld = false
        let used = try head.consume(bytes) { head throws(HTTPError) in
            scan = try HTTPResponseScan(head, isHEAD: isHEAD)
            isOld = head.starts(with: "HTTP/1.0".utf8)
        }
        guard let scan else { return used }
        if scan.status == 101 { throw HTTPError(502, "it changes the protocol") }
        if scan.status < 200 { return used }
        var keeps =
            isOld
            ? scan.headers.hasToken("keep-alive", in: "Connection")
            : !scan.headers.hasToken("close", in: "Connection")
        switch scan.length {
        case .none: body = try HTTPBodyReader(length: 0, limits: limits)
        case .counted(let length): body = try HTTPBodyReader(length: length, limits: limits)
        case .chunked: body = try HTTPBodyReader(length: nil, limits: limits)
        case .untilClose:
            body = .untilClose(limits)
            keeps = false
        }
        current = Response(status: scan.status, keepsConnection: keeps)
        return used
    }
}
