/// The first two bytes choose the framing and the cut; every cut has to give the same frames.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 2 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: data + 2, count: count - 2))
    let prefixes: [LengthFraming.Prefix] = [.oneByte, .twoBytes, .fourBytes, .eightBytes]
    let choice = Int(data[0] & 0x0F)
    if choice >= 8 {
        compare(LineFraming(maximumLength: 100), bytes, data[1])
    } else {
        let prefix = prefixes[choice % 4]
        let framing = LengthFraming(choice < 4 ? prefix : prefix.littleEndian, maximumLength: 300)
        compare(framing, bytes, data[1])
    }
    return 0
}

func compare<Cutter: Framing>(_ framing: Cutter, _ bytes: [UInt8], _ how: UInt8) {
    let piece = Int(how & 0x7F) + 1
    let whole = cut(framing, bytes, pieces: bytes.count, stopping: false)
    let other = cut(framing, bytes, pieces: piece, stopping: how & 0x80 != 0)
    precondition(whole == other, "cut into \(piece): \(other), whole: \(whole)")
}

func cut<Cutter: Framing>(
    _ framing: Cutter, _ bytes: [UInt8], pieces size: Int, stopping: Bool
) -> [String] {
    var framing = framing
    var seen: [String] = []
    do {
        var begin = 0
        while begin < bytes.count {
            let end = min(begin + size, bytes.count)
            var rest = bytes[begin..<end]
            while !rest.isEmpty {
                let used = try rest.withUnsafeBytes { bytes in
                    try framing.consume(bytes) { frame in
                        seen.append("\(Array(frame))")
                        return stopping ? .stop : .proceed
                    }
                }
                precondition(used > 0 && used <= rest.count)
                precondition(stopping || used == rest.count)
                precondition(framing.carriedByteCount <= 310)
                rest = rest.dropFirst(used)
            }
            begin = end
        }
        try framing.finish { frame in
            seen.append("last \(Array(frame))")
            return .proceed
        }
    } catch {
        seen.append("\(error)")
    }
    return seen
}
