/// The first byte says how the bytes are cut and whether the consumer stops; every way of cutting
/// has to give the same events as the whole.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: data + 1, count: count - 1))
    let role: WebSocketRole = data[0] & 0x80 == 0 ? .server : .client
    let piece = Int(data[0] & 0x3F) + 1
    let whole = parse(bytes, role, pieces: bytes.count, stopping: false)
    let cut = parse(bytes, role, pieces: piece, stopping: data[0] & 0x40 != 0)
    precondition(whole == cut, "cut into \(piece): \(cut), whole: \(whole)")
    return 0
}

func parse(_ bytes: [UInt8], _ role: WebSocketRole, pieces size: Int, stopping: Bool) -> [String] {
    var limits = WebSocketLimits()
    limits.maximumFrameLength = 1_000
    limits.maximumMessageLength = 1_500
    var parser = WebSocketParser(role: role, limits: limits)
    var seen: [String] = []
    var begin = 0
    while begin < bytes.count {
        let end = min(begin + size, bytes.count)
        var rest = Array(bytes[begin..<end])
        while !rest.isEmpty {
            do {
                let used = try rest.withUnsafeMutableBytes { bytes in
                    try parser.consume(bytes) { event in
                        seen.append(describe(event))
                        return stopping ? .stop : .proceed
                    }
                }
                precondition(used > 0 && used <= rest.count)
                precondition(stopping || used == rest.count)
                precondition(parser.carriedByteCount <= 1_500 + 125 + 14)
                rest.removeFirst(used)
            } catch {
                return seen + ["\(error)"]
            }
        }
        begin = end
    }
    return seen
}

func describe(_ event: WebSocketEvent) -> String {
    switch event {
    case .message(.text, let bytes):
        guard let text = String(validating: bytes, as: UTF8.self) else {
            preconditionFailure("a text that is not valid UTF-8 was accepted")
        }
        return "text \(text)"
    case .message(.binary, let bytes): return "binary \(Array(bytes))"
    case .ping(let bytes): return "ping \(Array(bytes))"
    case .pong(let bytes): return "pong \(Array(bytes))"
    case .close(let code, let reason): return "close \(code) \(reason)"
    }
}
