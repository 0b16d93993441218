import Weir

/// What the requests of a load to an HTTP server look like, and what is expected of the answers.
struct HTTPRequests: Sendable, Equatable {
    struct Header: Sendable, Equatable {
        let name: String
        let value: String

        /// Reads `Name: value`.
        ///
        /// - Throws: A ``LoadError`` for what is no header, or one that the load itself writes.
        init(_ text: String) throws(LoadError) {
            func wrong(_ why: String) -> LoadError { LoadError("--header '\(text)': \(why)") }
            guard let colon = text.firstIndex(of: ":") else {
                throw wrong("write it as 'Name: value'")
            }
            name = String(text[..<colon])
            guard HTTPRequests.isToken(name) else { throw wrong("the name is not a token") }
            value = String(text[text.index(after: colon)...].drop { $0 == " " })
            guard value.utf8.allSatisfy({ $0 == 0x09 || (0x20...0x7E).contains($0) }) else {
                throw wrong("the value has characters that are not allowed")
            }
            let reserved = ["content-length", "transfer-encoding", "connection", "expect"]
            if reserved.contains(name.lowercased()) {
                throw wrong("this header is written by the load itself")
            }
        }
    }

    var method = "POST"
    var headers: [Header] = []
    var contentType: String?
    /// Requests that a connection carries at one time.
    var pipeline = 1
    var expected = StatusSet.success

    static let pipelineMax = 1_000

    func validate() throws(LoadError) {
        guard Self.isToken(method) else { throw LoadError("--method '\(method)' is no method") }
        guard method != "CONNECT" else { throw LoadError("--method CONNECT can't be timed") }
        guard (1...Self.pipelineMax).contains(pipeline) else {
            throw LoadError("--pipeline is \(pipeline); it can be 1 to \(Self.pipelineMax)")
        }
        if let contentType { _ = try Header("Content-Type: \(contentType)") }
    }

    /// The head of each request, up to the value of its Content-Length.
    func head(for plan: LoadPlan) -> [UInt8] {
        var text = "\(method) \(plan.target.path) HTTP/1.1\r\n"
        var names: Set<String> = []
        for header in headers {
            text += "\(header.name): \(header.value)\r\n"
            names.insert(header.name.lowercased())
        }
        func add(_ name: String, _ value: String) {
            if !names.contains(name.lowercased()) { text += "\(name): \(value)\r\n" }
        }
        add("Host", plan.target.authority)
        add("User-Agent", "weir-load")
        if let token = plan.authorization?.bearerToken { add("Authorization", "Bearer \(token)") }
        if let type = contentType ?? plan.payload.mediaType { add("Content-Type", type) }
        return Array(text.utf8)
    }

    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }
}

/// Statuses of HTTP, such as `200,404` or `2xx`.
struct StatusSet: Sendable, Equatable {
    private let ranges: [ClosedRange<Int>]

    /// 200 to 299.
    static let success = StatusSet(ranges: [200...299])

    private init(ranges: [ClosedRange<Int>]) { self.ranges = ranges }

    /// Reads numbers and classes such as `2xx`, with commas between them.
    init(_ text: String) throws(LoadError) {
        var ranges: [ClosedRange<Int>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let part = part.filter { $0 != " " }.lowercased()
            if part.count == 3, part.hasSuffix("xx"), let hundred = Int(part.prefix(1)),
                (2...5).contains(hundred)
            {
                ranges.append(hundred * 100...hundred * 100 + 99)
            } else if let number = Int(part), (200...599).contains(number) {
                ranges.append(number...number)
            } else {
                throw LoadError(
                    "--expect-status '\(text)': write statuses from 200 to 599, or classes such"
                        + " as 2xx, with commas between them")
            }
        }
        self.ranges = ranges
    }

    func contains(_ status: Int) -> Bool { ranges.contains { $0.contains(status) } }
}
