/// An event of a `text/event-stream` (WHATWG HTML, section 9.2).
public struct ServerSentEvent: Sendable, Hashable {
    /// The identifier that a client names when it connects again; `nil` for none so far.
    public var id: String?
    /// The kind of event; `message` by default.
    public var name = "message"
    /// The data; lines are separated by line feeds.
    public var data: String

    /// Creates an event.
    public init(id: String? = nil, name: String = "message", data: String) {
        self.id = id
        self.name = name
        self.data = data
    }

    /// Appends the event's text; what would break it out of its line is left out of id and name.
    func append(to bytes: inout [UInt8]) {
        if let id { Self.appendField("id", id.utf8, &bytes) }
        if name != "message" { Self.appendField("event", name.utf8, &bytes) }
        Self.appendData(data.utf8, &bytes)
        bytes.append(0x0A)
    }

    static func appendField(
        _ name: StaticString, _ value: some Sequence<UInt8>, _ bytes: inout [UInt8]
    ) {
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: ": ".utf8)
        for byte in value where byte != 0x0A && byte != 0x0D && byte != 0 { bytes.append(byte) }
        bytes.append(0x0A)
    }

    /// Appends data, a line of it at a time: CR LF, LF and CR each end one.
    static func appendData(_ data: some Sequence<UInt8>, _ bytes: inout [UInt8]) {
        bytes.append(contentsOf: "data: ".utf8)
        var followsReturn = false
        for byte in data {
            if byte == 0x0A, followsReturn {
                followsReturn = false
                continue
            }
            followsReturn = byte == 0x0D
            if byte == 0x0A || byte == 0x0D {
                bytes.append(contentsOf: "\ndata: ".utf8)
            } else {
                bytes.append(byte)
            }
        }
        bytes.append(0x0A)
    }
}

/// Reads a `text/event-stream` that comes in any pieces (WHATWG HTML, section 9.2.6).
public struct ServerSentEventParser: Sendable {
    /// Bytes of one event with its field names, and of a line; 1 MiB by default.
    public let maximumLength: Int
    /// The identifier of the last event, which a client names when it connects again.
    public private(set) var lastEventID = ""
    /// How long the server asks a client to wait before it connects again.
    public private(set) var retry: Duration?
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var name = ""
    private var pendingID = ""
    private var followsReturn = false
    private var isFirstLine = true

    /// Creates a parser; `lastEventID` is what a connection before has ended with.
    public init(maximumLength: Int = 1 << 20, lastEventID: String = "") {
        self.maximumLength = max(1, maximumLength)
        self.lastEventID = lastEventID
        pendingID = lastEventID
    }

    /// Takes bytes and gives the events that they complete.
    ///
    /// - Throws: ``HTTPError`` 413 for an event above the limit; the stream can't be read on then.
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ onEvent: (ServerSentEvent) -> Void
    ) throws(HTTPError) {
        var start = 0
        for position in 0..<bytes.count {
            let byte = bytes[position]
            if byte == 0x0A, followsReturn {
                followsReturn = false
                start = position + 1
                continue
            }
            followsReturn = byte == 0x0D
            guard byte == 0x0A || byte == 0x0D else { continue }
            try keep(bytes, start, position)
            start = position + 1
            takeLine(onEvent)
        }
        try keep(bytes, start, bytes.count)
    }

    private mutating func keep(
        _ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int
    ) throws(HTTPError) {
        guard start < end else { return }
        if line.count + data.count + end - start > maximumLength {
            throw HTTPError(413, "an event is above \(maximumLength) bytes")
        }
        line.append(contentsOf: bytes[start..<end])
    }

    private mutating func takeLine(_ onEvent: (ServerSentEvent) -> Void) {
        var text = line[...]
        defer { line.removeAll(keepingCapacity: true) }
        if isFirstLine {
            isFirstLine = false
            if text.starts(with: [0xEF, 0xBB, 0xBF]) { text = text.dropFirst(3) }
        }
        if text.isEmpty {
            dispatch(onEvent)
            return
        }
        let colon = text.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
        let field = String(decoding: text[..<colon], as: UTF8.self)
        var value = text[min(colon + 1, text.endIndex)...]
        if value.first == 0x20 { value = value.dropFirst() }
        switch field {
        case "data":
            data.append(contentsOf: value)
            data.append(0x0A)
            hasData = true
        case "event": name = String(decoding: value, as: UTF8.self)
        case "id" where !value.contains(0): pendingID = String(decoding: value, as: UTF8.self)
        case "retry":
            if !value.isEmpty, value.count < 10, value.allSatisfy(HTTPSyntax.isDigit) {
                retry = Int(String(decoding: value, as: UTF8.self)).map { .milliseconds($0) }
            }
        default: break
        }
    }

    private mutating func dispatch(_ onEvent: (ServerSentEvent) -> Void) {
        lastEventID = pendingID
        defer {
            data.removeAll(keepingCapacity: true)
            hasData = false
            name = ""
        }
        guard hasData else { return }
        data.removeLast()
        onEvent(
            ServerSentEvent(
                id: lastEventID.isEmpty ? nil : lastEventID, name: name.isEmpty ? "message" : name,
                data: String(decoding: data, as: UTF8.self)))
    }
}
