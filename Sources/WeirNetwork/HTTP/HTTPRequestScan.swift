/// What a server has to know of a request's head, found in one pass over its bytes without a copy.
///
/// All the strictness is here (RFC 9110, RFC 9112): a head that passes has an unambiguous length.
/// The bytes are the reader's: a scan is valid only during the call that gives it.
struct HTTPRequestScan {
    let bytes: UnsafeRawBufferPointer
    let method: Range<Int>
    let target: Range<Int>
    /// The target's path; of `*` that itself.
    private(set) var path: Range<Int>
    private(set) var query: Range<Int>?
    /// 0 for HTTP/1.0, 1 for HTTP/1.1 and later 1.x.
    let minorVersion: Int
    /// Where the header lines begin.
    let headersStart: Int
    /// Bytes of body that follow; `nil` for a body in chunks.
    private(set) var bodyLength: Int? = 0
    private(set) var contentType: Range<Int>?
    private(set) var idempotencyKey: Range<Int>?
    /// Whether there is more than one Idempotency-Key.
    private(set) var hasSeveralKeys = false
    /// Whether the client waits for `100 Continue` before it sends the body.
    private(set) var expectsContinue = false
    /// Whether there is an Upgrade header.
    private(set) var upgrades = false
    private var hasClose = false
    private var hasKeepAlive = false

    /// Whether the connection stays open after the response (RFC 9112, 9.3).
    var keepsAlive: Bool { !hasClose && (minorVersion >= 1 || hasKeepAlive) }

    subscript(range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[range])
    }

    func text(_ range: Range<Int>) -> String { String(decoding: self[range], as: UTF8.self) }

    var isHEAD: Bool {
        method.count == 4 && bytes[method.lowerBound] == UInt8(ascii: "H")
            && bytes[method.lowerBound + 1] == UInt8(ascii: "E")
            && bytes[method.lowerBound + 2] == UInt8(ascii: "A")
            && bytes[method.lowerBound + 3] == UInt8(ascii: "D")
    }

    /// Reads a head that ``HTTPHeadReader`` has found.
    ///
    /// - Throws: ``HTTPError`` with status 400, 417, 501 or 505.
    init(_ head: UnsafeRawBufferPointer) throws(HTTPError) {
        bytes = head
        guard let end = Self.lineEnd(head, 0) else { throw HTTPError(400, "no request line") }
        guard let first = Self.space(head, 0, end), let second = Self.space(head, first + 1, end),
            Self.space(head, second + 1, end) == nil
        else { throw HTTPError(400, "a request line has three parts") }
        method = 0..<first
        guard HTTPSyntax.isToken(UnsafeRawBufferPointer(rebasing: head[method])) else {
            throw HTTPError(400, "the method is not a token")
        }
        let version = UnsafeRawBufferPointer(rebasing: head[(second + 1)..<end])
        minorVersion = try Self.minorVersion(version)
        target = (first + 1)..<second
        guard !target.isEmpty, head[target].allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw HTTPError(400, "the target has characters that are not allowed")
        }
        path = target
        headersStart = min(end + 2, head.count)
        try findPath()
        try readHeaders()
    }

    private static func lineEnd(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int? {
        HTTPSyntax.index(of: 0x0D, in: bytes, from: start)
    }

    private static func space(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int? {
        HTTPSyntax.index(
            of: 0x20, in: UnsafeRawBufferPointer(rebasing: bytes[..<end]), from: start)
    }

    static func minorVersion(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> Int {
        let name: StaticString = "HTTP/"
        let isVersion =
            bytes.count == 8 && (0..<5).allSatisfy { bytes[$0] == name.utf8Start[$0] }
            && HTTPSyntax.isDigit(bytes[5]) && bytes[6] == UInt8(ascii: ".")
            && HTTPSyntax.isDigit(bytes[7])
        guard isVersion else { throw HTTPError(400, "the version is not of the form HTTP/1.1") }
        guard bytes[5] == UInt8(ascii: "1") else {
            throw HTTPError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        return bytes[7] == UInt8(ascii: "0") ? 0 : 1
    }

    private mutating func findPath() throws(HTTPError) {
        var start = target.lowerBound
        let end = target.upperBound
        if bytes[start] != UInt8(ascii: "/") {
            if target.count == 1, bytes[start] == UInt8(ascii: "*") {
                guard HTTPSyntax.equals(self[method], "options") else {
                    throw HTTPError(400, "the target is not a path")
                }
                return
            }
            guard let authority = authorityStart(start, end) else {
                throw HTTPError(400, "the target is not a path")
            }
            start = authority
            while start < end, bytes[start] != UInt8(ascii: "/"), bytes[start] != 0x3F {
                start += 1
            }
        }
        var mark = start
        while mark < end, bytes[mark] != 0x3F { mark += 1 }
        path = start..<mark
        if mark < end { query = (mark + 1)..<end }
    }

    /// Where the authority of an absolute target begins.
    private func authorityStart(_ start: Int, _ end: Int) -> Int? {
        let schemes: [StaticString] = ["http://", "https://", "ws://", "wss://"]
        for scheme in schemes {
            let count = scheme.utf8CodeUnitCount
            guard end - start >= count else { continue }
            if HTTPSyntax.equals(self[start..<(start + count)], scheme) { return start + count }
        }
        return nil
    }

    // MARK: Headers

    private mutating func readHeaders() throws(HTTPError) {
        var hosts = 0
        var host = 0..<0
        var lengths = 0
        var length = 0..<0
        var codings = 0
        var coding = 0..<0
        var expectation: Range<Int>?
        var start = headersStart
        while let end = Self.lineEnd(bytes, start), end > start {
            let (name, value) = try Self.field(bytes, start, end)
            start = end + 2
            let key = self[name]
            switch key.count {
            case 4 where HTTPSyntax.equals(key, "host"):
                hosts += 1
                host = value
            case 6 where HTTPSyntax.equals(key, "expect"): expectation = value
            case 7 where HTTPSyntax.equals(key, "upgrade"): upgrades = true
            case 10 where HTTPSyntax.equals(key, "connection"): readConnection(value)
            case 12 where HTTPSyntax.equals(key, "content-type"): contentType = value
            case 14 where HTTPSyntax.equals(key, "content-length"):
                lengths += 1
                length = value
            case 15 where HTTPSyntax.equals(key, "idempotency-key"):
                hasSeveralKeys = idempotencyKey != nil
                idempotencyKey = value
            case 17 where HTTPSyntax.equals(key, "transfer-encoding"):
                codings += 1
                coding = value
            default: break
            }
        }
        try checkHost(hosts, host)
        if lengths > 1 { throw HTTPError(400, "more than one Content-Length") }
        if codings > 1 { throw HTTPError(400, "more than one Transfer-Encoding") }
        if codings == 1 {
            if lengths > 0 { throw HTTPError(400, "both Transfer-Encoding and Content-Length") }
            if minorVersion == 0 { throw HTTPError(400, "Transfer-Encoding in HTTP/1.0") }
            guard HTTPSyntax.equals(self[coding], "chunked") else {
                throw HTTPError(501, "the transfer coding is not supported")
            }
            bodyLength = nil
        } else if lengths == 1 {
            bodyLength = try Self.length(self[length])
        }
        if let expectation { try expect(expectation) }
    }

    /// The name and the value of a header line.
    static func field(
        _ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int
    ) throws(HTTPError) -> (name: Range<Int>, value: Range<Int>) {
        if bytes[start] == 0x20 || bytes[start] == 0x09 {
            throw HTTPError(400, "a header continues over two lines")
        }
        let colon = start + HTTPSyntax.tokenCount(bytes, from: start)
        guard colon > start, colon < end, bytes[colon] == UInt8(ascii: ":") else {
            let hasColon = bytes[start..<end].contains(UInt8(ascii: ":"))
            throw HTTPError(
                400, hasColon ? "a header name is not a token" : "a header line without a colon")
        }
        return (start..<colon, HTTPSyntax.trimmed(bytes, (colon + 1)..<end))
    }

    private mutating func readConnection(_ value: Range<Int>) {
        var (closes, keeps) = (hasClose, hasKeepAlive)
        HTTPSyntax.forEachElement(self[value]) { option in
            if HTTPSyntax.equals(option, "close") { closes = true }
            if HTTPSyntax.equals(option, "keep-alive") { keeps = true }
        }
        (hasClose, hasKeepAlive) = (closes, keeps)
    }

    private mutating func expect(_ value: Range<Int>) throws(HTTPError) {
        // RFC 9110, 10.1.1: an older client's expectation is ignored.
        guard minorVersion >= 1 else { return }
        guard HTTPSyntax.equals(self[value], "100-continue") else {
            throw HTTPError(417, "only 100-continue can be expected")
        }
        expectsContinue = bodyLength != 0
    }

    private func checkHost(_ count: Int, _ host: Range<Int>) throws(HTTPError) {
        if count > 1 { throw HTTPError(400, "more than one Host header") }
        if count == 0, minorVersion > 0 { throw HTTPError(400, "no Host header") }
        for index in host where !HTTPSyntax.isHost(bytes[index]) {
            throw HTTPError(400, "the Host header is not a host")
        }
    }

    /// A length in digits.
    static func length(_ text: UnsafeRawBufferPointer) throws(HTTPError) -> Int {
        guard !text.isEmpty, text.count <= 18 else {
            throw HTTPError(400, "Content-Length is not a number")
        }
        var number = 0
        for byte in text {
            guard HTTPSyntax.isDigit(byte) else {
                throw HTTPError(400, "Content-Length is not a number")
            }
            number = number * 10 + Int(byte - 0x30)
        }
        return number
    }
}
