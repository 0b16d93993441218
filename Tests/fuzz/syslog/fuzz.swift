import WeirCore

/// The first byte chooses: a message in either format, or a stream, cut in different ways.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: data + 1, count: count - 1)
    switch data[0] % 4 {
    case 0: readModern(bytes)
    case 1:
        if let message = try? LegacySyslogParser.parse(bytes) {
            precondition((0...23).contains(message.facility))
        }
    default:
        let framing = SyslogFraming(maximumLength: 300, allowsLines: data[0] & 8 == 0)
        let whole = cut(framing, bytes, pieces: bytes.count, stopping: false)
        let other = cut(
            framing, bytes, pieces: Int(data[0] >> 4) + 1, stopping: data[0] & 4 == 0)
        precondition(whole == other, "\(other), whole: \(whole)")
    }
    return 0
}

/// What is read is written again, and has to be read as the same.
func readModern(_ bytes: UnsafeRawBufferPointer) {
    let message: SyslogMessage
    do throws(SyslogError) {
        message = try SyslogParser.parse(bytes)
    } catch {
        precondition((0...bytes.count).contains(error.offset))
        return
    }
    let text = write(message)
    let again = Array(text.utf8).withUnsafeBytes { try? SyslogParser.parse($0) }
    precondition(again == message, "\(text): \(again as Any), not \(message)")
}

func write(_ message: SyslogMessage) -> String {
    var text = "<\(message.facility * 8 + message.severity.rawValue)>1 "
    text += message.timestamp.map { "\($0)" } ?? "-"
    for word in [message.hostName, message.appName, message.processID, message.messageID] {
        text += " \(word ?? "-")"
    }
    text += " "
    if message.structuredData.isEmpty { text += "-" }
    for element in message.structuredData {
        text += "[\(element.id)"
        for value in element.values {
            var escaped = ""
            for scalar in value.value.unicodeScalars {
                if "\"\\]".unicodeScalars.contains(scalar) { escaped += "\\" }
                escaped.unicodeScalars.append(scalar)
            }
            text += " \(value.name)=\"\(escaped)\""
        }
        text += "]"
    }
    if let body = message.text { text += " \u{FEFF}\(body)" }
    return text
}

func cut(
    _ framing: SyslogFraming, _ bytes: UnsafeRawBufferPointer, pieces size: Int, stopping: Bool
) -> [String] {
    var framing = framing
    var seen: [String] = []
    do {
        var begin = 0
        while begin < bytes.count {
            let end = min(begin + size, bytes.count)
            var rest = UnsafeRawBufferPointer(rebasing: bytes[begin..<end])
            while !rest.isEmpty {
                let used = try framing.consume(rest) { frame in
                    seen.append("\(Array(frame))")
                    return stopping ? .stop : .proceed
                }
                precondition(used > 0 && used <= rest.count)
                precondition(stopping || used == rest.count)
                precondition(framing.carriedByteCount <= 320)
                rest = UnsafeRawBufferPointer(rebasing: rest[used...])
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
