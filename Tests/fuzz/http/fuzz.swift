/// The first byte says how the bytes are cut; every cut has to give the same as the whole: of
/// requests with their bodies one behind the other, of a body in chunks, and of an event stream.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: data + 1, count: count - 1))
    let piece = Int(data[0] & 0x3F) + 1
    let readers: [([UInt8], Int) -> [String]] = [requests, chunks, events]
    // The upper two bits choose, so that a corpus of requests stays one.
    let read = readers[min(Int(data[0] >> 6), 2)]
    let whole = read(bytes, bytes.count)
    let cut = read(bytes, piece)
    precondition(whole == cut, "cut into \(piece): \(cut), whole: \(whole)")
    return 0
}

/// Heads with their bodies, as a server reads them.
func requests(_ bytes: [UInt8], pieces size: Int) -> [String] {
    var limits = HTTPLimits()
    limits.maximumHeadLength = 1_000
    limits.maximumHeaderCount = 10
    var reader = HTTPHeadReader(limits: limits)
    var body: HTTPBodyReader?
    var text: [UInt8] = []
    var seen: [String] = []
    do {
        try inPieces(bytes, size) { piece in
            if body == nil {
                let used = try reader.consume(piece) { head throws(HTTPError) in
                    let (description, length) = try describe(head)
                    seen.append(description)
                    let begun = try HTTPBodyReader(length: length, limits: bodyLimits)
                    if !begun.isComplete { body = begun }
                }
                precondition(reader.carriedByteCount <= 1_000)
                return used
            }
            let used = try body?.consume(piece) { part in
                // Now and then a receiver is full.
                let taken = min(part.count, 7)
                text += part.prefix(taken)
                return taken
            }
            precondition(text.count <= 256)
            if let complete = body, complete.isComplete {
                seen.append("\(text) \(complete.trailer)")
                text = []
                body = nil
            }
            return used ?? 0
        }
    } catch {
        return seen + ["\(error)"]
    }
    return seen + ["\(text)"]
}

var bodyLimits: HTTPBodyLimits {
    var limits = HTTPBodyLimits()
    limits.maximumLength = 256
    limits.maximumExtensionLength = 32
    limits.maximumTrailerLength = 64
    return limits
}

/// A body in chunks and nothing else.
func chunks(_ bytes: [UInt8], pieces size: Int) -> [String] {
    var text: [UInt8] = []
    do {
        var reader = try HTTPBodyReader(length: nil, limits: bodyLimits)
        try inPieces(bytes, size) { piece in
            if reader.isComplete { return piece.count }
            return try reader.consume(piece) { part in
                text += part
                return part.count
            }
        }
        return ["\(text) \(reader.isComplete) \(reader.trailer)"]
    } catch {
        return ["\(text) \(error)"]
    }
}

/// An event stream.
func events(_ bytes: [UInt8], pieces size: Int) -> [String] {
    var parser = ServerSentEventParser(maximumLength: 200)
    var seen: [String] = []
    do {
        try inPieces(bytes, size) { piece in
            try parser.consume(piece) { event in
                precondition(event.data.utf8.count <= 600)
                seen.append("\(event)")
            }
            return piece.count
        }
    } catch {
        // Where it is too long depends on what came as one piece, but not whether.
        return ["too long"]
    }
    return seen + [parser.lastEventID]
}

func inPieces(
    _ bytes: [UInt8], _ size: Int, _ take: (UnsafeRawBufferPointer) throws -> Int
) throws {
    var begin = 0
    while begin < bytes.count {
        let end = min(begin + max(1, size), bytes.count)
        var rest = bytes[begin..<end]
        while !rest.isEmpty {
            let used = try rest.withUnsafeBytes(take)
            precondition(used >= 0 && used <= rest.count)
            rest = rest.dropFirst(used)
        }
        begin = end
    }
}

func describe(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> (String, Int?) {
    let head = try HTTPRequestHead(parsing: bytes)
    precondition(head.path.hasPrefix("/") || head.target == "*")
    precondition(!head.target.utf8.contains { $0 <= 0x20 || $0 >= 0x7F })
    precondition(head.headers.fields.count <= 10)
    // A length that is certain, whatever the reader of the head was asked.
    let lengths = head.headers.values("Content-Length")
    let codings = head.headers.values("Transfer-Encoding")
    precondition(lengths.count + codings.count <= 1)
    precondition((head.bodyLength == nil) == !codings.isEmpty)
    _ = head.headers.hasToken("upgrade", in: "Connection")
    return ("\(head)", head.bodyLength)
}
