import WeirNetwork

/// The first byte chooses the version and the cut; the rest is what a broker sends.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: data + 1, count: count - 1)
    let version = data[0] & 1 == 0 ? MQTTVersion.v5 : .v3_1_1
    let whole = cut(bytes, version, pieces: bytes.count, stopping: false)
    let other = cut(bytes, version, pieces: Int(data[0] >> 3) + 1, stopping: data[0] & 2 != 0)
    precondition(whole == other, "\(other), whole: \(whole)")
    if let message = try? RecordedMessage.decode(bytes) { check(message) }
    return 0
}

func cut(
    _ bytes: UnsafeRawBufferPointer, _ version: MQTTVersion, pieces size: Int, stopping: Bool
) -> [String] {
    var framing = MQTTFraming(maximumLength: 500)
    var seen: [String] = []
    do {
        var begin = 0
        while begin < bytes.count {
            let end = min(begin + size, bytes.count)
            var rest = UnsafeRawBufferPointer(rebasing: bytes[begin..<end])
            while !rest.isEmpty {
                let used = try framing.consume(rest) { frame in
                    seen.append(read(frame, version))
                    return stopping ? .stop : .proceed
                }
                precondition(used > 0 && used <= rest.count)
                precondition(stopping || used == rest.count)
                precondition(framing.carriedByteCount <= 500)
                rest = UnsafeRawBufferPointer(rebasing: rest[used...])
            }
            begin = end
        }
        try framing.finish { _ in .proceed }
    } catch {
        seen.append("\(error)")
    }
    return seen
}

func read(_ frame: UnsafeRawBufferPointer, _ version: MQTTVersion) -> String {
    do throws(MQTTError) {
        let packet = try MQTTPacket(frame, version, limit: 500)
        if case .publish(let publish) = packet {
            precondition(MQTTTopic.isName(publish.message.topic))
            precondition((publish.identifier == 0) == (publish.message.qos == .atMostOnce))
            check(publish.message)
        }
        return "\(packet)"
    } catch {
        return "\(error)"
    }
}

/// What the journal keeps of a message is the message.
func check(_ message: MQTTMessage) {
    let bytes = RecordedMessage.encode(message)
    let again = bytes.withUnsafeBytes { try? RecordedMessage.decode($0) }
    precondition(again == message, "\(again as Any), not \(message)")
}
