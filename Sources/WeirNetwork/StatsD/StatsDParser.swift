/// Reads lines of StatsD: `name:value|type|@rate|#tag:value,…`; a value without I/O.
///
/// Several values between colons are several measurements (`name:1:2:3|h`). Parts behind the type
/// that begin with another mark than `@` and `#`, such as a container's (`c:`) or a time (`T`), are
/// passed over.
struct StatsDParser {
    /// Values of one line, and tags, that are taken at most.
    static let partsMax = 1_024
    /// Bytes of a name at most.
    static let nameMax = 1_024

    private let bytes: UnsafeRawBufferPointer

    /// Reads a line; an empty one has no measurements.
    static func parse(_ bytes: UnsafeRawBufferPointer) throws(StatsDError) -> [StatsDMetric] {
        if bytes.isEmpty { return [] }
        return try StatsDParser(bytes: bytes).line()
    }

    private func line() throws(StatsDError) -> [StatsDMetric] {
        guard let bar = bytes.firstIndex(of: UInt8(ascii: "|")) else {
            throw StatsDError("there is no '|' behind the value", at: bytes.count)
        }
        let head = 0..<bar
        guard let colon = bytes[head].firstIndex(of: UInt8(ascii: ":")) else {
            throw StatsDError("there is no ':' behind the name", at: bar)
        }
        var metric = StatsDMetric(name: try name(0..<colon), kind: .counter)
        let parts = split((bar + 1)..<bytes.count, at: UInt8(ascii: "|"))
        metric.kind = try kind(parts[0])
        for part in parts.dropFirst() {
            switch part.isEmpty ? nil : bytes[part.lowerBound] {
            case UInt8(ascii: "@"): metric.sampleRate = try rate(part.dropFirst())
            case UInt8(ascii: "#"): metric.tags = try tags(part.dropFirst())
            case nil: throw StatsDError("there is nothing between two '|'", at: part.lowerBound)
            default: continue
            }
        }
        if metric.kind == .set {
            let value = (colon + 1)..<bar
            if value.isEmpty { throw StatsDError("the value is empty", at: value.lowerBound) }
            metric.member = try text(value, "value")
            return [metric]
        }
        var metrics: [StatsDMetric] = []
        for part in split((colon + 1)..<bar, at: UInt8(ascii: ":")) {
            metric.value = try number(part, "value")
            metric.isChange = metric.kind == .gauge && isSign(bytes[part.lowerBound])
            metrics.append(metric)
        }
        guard metrics.count <= Self.partsMax else {
            throw StatsDError("there are more than \(Self.partsMax) values", at: colon)
        }
        return metrics
    }

    private func isSign(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
    }

    private func split(_ range: Range<Int>, at separator: UInt8) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var start = range.lowerBound
        for index in range where bytes[index] == separator {
            parts.append(start..<index)
            start = index + 1
        }
        parts.append(start..<range.upperBound)
        return parts
    }

    private func name(_ range: Range<Int>) throws(StatsDError) -> String {
        if range.isEmpty { throw StatsDError("the name is empty", at: range.lowerBound) }
        if range.count > Self.nameMax {
            throw StatsDError("the name is longer than \(Self.nameMax) bytes", at: 0)
        }
        return try text(range, "name")
    }

    /// Text without control characters.
    private func text(_ range: Range<Int>, _ what: String) throws(StatsDError) -> String {
        for index in range where bytes[index] < 32 || bytes[index] == 127 {
            throw StatsDError("the \(what) has a control character", at: index)
        }
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw StatsDError("the \(what) is not valid UTF-8", at: range.lowerBound)
        }
        return text
    }

    private func kind(_ range: Range<Int>) throws(StatsDError) -> StatsDMetric.Kind {
        switch String(decoding: bytes[range], as: UTF8.self) {
        case "c": .counter
        case "g": .gauge
        case "ms": .timer
        case "h": .histogram
        case "d": .distribution
        case "s": .set
        default:
            throw StatsDError("the type is none of c, g, ms, h, d and s", at: range.lowerBound)
        }
    }

    private func rate(_ range: Range<Int>) throws(StatsDError) -> Double {
        let rate = try number(range, "rate")
        guard rate > 0, rate <= 1 else {
            throw StatsDError("the rate is not above 0 and up to 1", at: range.lowerBound)
        }
        return rate
    }

    /// A decimal number, with a sign and an exponent if need be, that is finite.
    private func number(_ range: Range<Int>, _ what: String) throws(StatsDError) -> Double {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        // Also keeps out what Swift would read beside: `0x1p3`, `nan`, `infinity`.
        let isPlain = bytes[range].allSatisfy { byte in
            digits.contains(byte) || isSign(byte) || byte == UInt8(ascii: ".")
                || byte | 0x20 == UInt8(ascii: "e")
        }
        guard isPlain, range.count <= 64,
            let number = Double(String(decoding: bytes[range], as: UTF8.self)), number.isFinite
        else { throw StatsDError("the \(what) is no number", at: range.lowerBound) }
        return number
    }

    private func tags(_ range: Range<Int>) throws(StatsDError) -> [StatsDMetric.Tag] {
        if range.isEmpty { return [] }
        var tags: [StatsDMetric.Tag] = []
        for part in split(range, at: UInt8(ascii: ",")) {
            if part.isEmpty { throw StatsDError("a tag is empty", at: part.lowerBound) }
            guard tags.count < Self.partsMax else {
                throw StatsDError("there are more than \(Self.partsMax) tags", at: part.lowerBound)
            }
            guard let colon = bytes[part].firstIndex(of: UInt8(ascii: ":")) else {
                tags.append(StatsDMetric.Tag(name: try text(part, "tag")))
                continue
            }
            if colon == part.lowerBound { throw StatsDError("a tag has no name", at: colon) }
            tags.append(
                StatsDMetric.Tag(
                    name: try text(part.lowerBound..<colon, "tag"),
                    value: try text((colon + 1)..<part.upperBound, "tag")))
        }
        return tags
    }
}

/// Why a line is no StatsD measurement.
public struct StatsDError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public let reason: String
    /// The number of bytes before the place.
    public let offset: Int

    init(_ reason: String, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    /// The reason and the place.
    public var description: String { "\(reason) (at byte \(offset))" }
}
