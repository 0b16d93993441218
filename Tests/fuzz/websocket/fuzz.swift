/// Every way of cutting has to give the same events as the whole.
///
/// The first byte says how the bytes are cut, whether the consumer stops and whether compression is
/// agreed on. With compression the bytes are also a message, which has to come back as it was.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: data + 1, count: count - 1))
    let role: WebSocketRole = data[0] & 0x80 == 0 ? .server : .client
    let piece = Int(data[0] & 0x1F) + 1
    let agreement =
        data[0] & 0x20 == 0 ? nil : DeflateAgreement(sending: WebSocketCompression())
    let whole = parse(bytes, role, agreement, pieces: bytes.count, stopping: false)
    let cut = parse(bytes, role, agreement, pieces: piece, stopping: data[0] & 0x40 != 0)
    precondition(whole == cut, "cut into \(piece): \(cut), whole: \(whole)")
    if let agreement { checkRoundTrip(bytes, agreement) }
    return 0
}

let lengthMax = 1_500

func parse(
    _ bytes: [UInt8], _ role: WebSocketRole, _ agreement: DeflateAgreement?, pieces size: Int,
    stopping: Bool
) -> [String] {
    var limits = WebSocketLimits()
    limits.maximumFrameLength = 1_000
    limits.maximumMessageLength = lengthMax
    var parser = WebSocketParser(role: role, limits: limits, agreement: agreement)
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
                precondition(parser.carriedByteCount <= lengthMax + 125 + 14)
                rest.removeFirst(used)
            } catch {
                return seen + ["\(error)"]
            }
        }
        begin = end
    }
    return seen
}

func checkRoundTrip(_ message: [UInt8], _ agreement: DeflateAgreement) {
    guard message.count <= lengthMax, let deflater = Deflater(agreement.sending),
        let packed = message.withUnsafeBytes({ deflater.compress($0) { Array($0) } })
    else { return }
    var parts: [[UInt8]] = stride(from: 0, to: packed.count, by: 100).map {
        Array(packed[$0..<min($0 + 100, packed.count)])
    }
    let last = parts.removeLast()
    var frames: [UInt8] = []
    for (index, part) in (parts + [last]).enumerated() {
        let begin: UInt8 = index == 0 ? 0x42 : 0
        frames += [begin | (index == parts.count ? 0x80 : 0), UInt8(part.count)] + part
    }
    let seen = parse(frames, .client, agreement, pieces: 7, stopping: false)
    precondition(seen == ["binary \(message)"], "\(message) came back as \(seen)")
}

func describe(_ event: WebSocketEvent) -> String {
    switch event {
    case .message(let kind, let bytes):
        precondition(bytes.count <= lengthMax, "a message above the limit was accepted")
        guard kind == .text else { return "binary \(Array(bytes))" }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            preconditionFailure("a text that is not valid UTF-8 was accepted")
        }
        return "text \(text)"
    case .ping(let bytes): return "ping \(Array(bytes))"
    case .pong(let bytes): return "pong \(Array(bytes))"
    case .close(let code, let reason): return "close \(code) \(reason)"
    }
}
