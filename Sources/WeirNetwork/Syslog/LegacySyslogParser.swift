/// Reads what older programs send (RFC 3164), as far as they agree on a format.
///
/// `<PRI>Mmm dd hh:mm:ss HOST TAG[PID]: TEXT`, without the host where a program writes to its own
/// machine's socket; what doesn't look so is text. The time has neither year nor zone, so it is no
/// event time.
struct LegacySyslogParser {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ].map { Array($0.utf8) }

    static func parse(_ bytes: UnsafeRawBufferPointer) throws(SyslogError) -> SyslogMessage {
        var reader = SyslogReader(bytes)
        let priority = try SyslogParser.priority(&reader)
        var message = SyslogMessage(
            facility: priority / 8, severity: SyslogSeverity(rawValue: priority % 8) ?? .debug)
        var rest = reader.rest[...]
        if hasTime(rest) {
            rest = rest.dropFirst(16)
            let host = rest.prefix { $0 != UInt8(ascii: " ") }
            // A tag has the colon at its end, which no name of a host has.
            if !host.isEmpty, host.last != UInt8(ascii: ":"), host.count <= 255,
                host.count < rest.count, host.allSatisfy({ (33...126).contains($0) })
            {
                message.hostName = String(decoding: host, as: UTF8.self)
                rest = rest.dropFirst(host.count + 1)
            }
        }
        takeTag(&rest, &message)
        message.text = String(decoding: rest, as: UTF8.self)
        return message
    }

    /// Whether it begins with a time such as `Oct 11 22:14:15 `.
    private static func hasTime(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
        guard bytes.count >= 16, months.contains(where: { bytes.starts(with: $0) }) else {
            return false
        }
        let form = Array("Mmm d9 99:99:99 ".utf8)
        return zip(bytes, form).dropFirst(3).allSatisfy { byte, expected in
            let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            return switch expected {
            case UInt8(ascii: "9"): isDigit
            case UInt8(ascii: "d"): isDigit || byte == UInt8(ascii: " ")
            default: byte == expected
            }
        }
    }

    /// Takes `TAG:` or `TAG[PID]:` off.
    private static func takeTag(
        _ rest: inout Slice<UnsafeRawBufferPointer>, _ message: inout SyslogMessage
    ) {
        let head = rest.prefix(48 + 128 + 3)
        guard let colon = head.firstIndex(of: UInt8(ascii: ":")) else { return }
        let tag = head[..<colon]
        guard tag.allSatisfy({ (33...126).contains($0) }) else { return }
        let name = tag.prefix { $0 != UInt8(ascii: "[") }
        guard !name.isEmpty, name.count <= 48 else { return }
        if name.count < tag.count {
            guard tag.last == UInt8(ascii: "]") else { return }
            let process = tag.dropFirst(name.count + 1).dropLast()
            message.processID = String(decoding: process, as: UTF8.self)
        }
        message.appName = String(decoding: name, as: UTF8.self)
        rest = rest[(colon + 1)...]
        if rest.first == UInt8(ascii: " ") { rest = rest.dropFirst() }
    }
}
