extension EventTime {
    /// Reads a time in RFC 3339 format, such as `2024-02-29T23:59:59.123+01:00`, or returns nil.
    ///
    /// Strict: a four-digit year, `T` and `Z` in either case, seconds, at most nine fractional
    /// digits, and `Z` or an offset `±hh:mm`. A leap second, `:60` as the last second of a UTC day,
    /// reads as the second after it, as POSIX time has it. Times that do not fit are refused:
    /// 1677-09-21T00:12:43.145224192Z is the first and 2262-04-11T23:47:16.854775807Z the last that
    /// does.
    ///
    /// - Complexity: O(1).
    @inlinable
    public init?(rfc3339 text: some StringProtocol) {
        let parsed = text.utf8.withContiguousStorageIfAvailable { EventTime(rfc3339: $0) }
        if let parsed {
            guard let time = parsed else { return nil }
            self = time
            return
        }
        let time = Array(text.utf8.prefix(40)).withUnsafeBufferPointer { EventTime(rfc3339: $0) }
        guard let time else { return nil }
        self = time
    }

    /// Reads a time in RFC 3339 format from its UTF-8 bytes, or returns nil.
    ///
    /// The same as ``init(rfc3339:)`` for text; the buffer holds the time and nothing else.
    ///
    /// - Complexity: O(1).
    public init?(rfc3339 bytes: UnsafeBufferPointer<UInt8>) {
        // Safety: every index below is less than the count that has just been checked.
        guard bytes.count >= 20, bytes.count <= 35 else { return nil }
        guard let year = Self.number(bytes, at: 0, digits: 4),
            let month = Self.number(bytes, at: 5, digits: 2),
            let day = Self.number(bytes, at: 8, digits: 2),
            let hour = Self.number(bytes, at: 11, digits: 2),
            let minute = Self.number(bytes, at: 14, digits: 2),
            let second = Self.number(bytes, at: 17, digits: 2)
        else { return nil }
        guard bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            bytes[10] | 0x20 == UInt8(ascii: "t"),
            bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":")
        else { return nil }
        guard month >= 1, month <= 12, day >= 1, day <= Self.days(inMonth: month, of: year),
            hour <= 23, minute <= 59, second <= 60
        else { return nil }
        var end = 19
        guard let fraction = Self.fraction(bytes, from: &end),
            let offset = Self.offset(bytes, from: end)
        else { return nil }
        let minutes =
            (Self.days(toYear: year, month: month, day: day) * 24 + hour) * 60 + minute - offset
        // Only the last second of a UTC day may be a leap second.
        if second == 60, (minutes + 1) % 1_440 != 0 { return nil }
        self.init(secondsSinceEpoch: minutes * 60 + second, nanoseconds: fraction)
    }

    /// Creates a time from whole seconds and nanoseconds since 1970-01-01T00:00:00Z; nil if it does
    /// not fit.
    ///
    /// Both parts are added up, so times before 1970 may have a negative `seconds` and a positive
    /// `nanoseconds`.
    @inlinable
    public init?(secondsSinceEpoch seconds: Int64, nanoseconds: Int64 = 0) {
        // The earliest second fits only together with its nanoseconds.
        let sum = Int128(seconds) * 1_000_000_000 + Int128(nanoseconds)
        guard let sum = Int64(exactly: sum) else { return nil }
        self.init(nanoseconds: sum)
    }

    /// A number of `digits` digits, or nil if one of the bytes is no digit.
    @inline(__always)
    private static func number(
        _ bytes: UnsafeBufferPointer<UInt8>, at start: Int, digits: Int
    ) -> Int64? {
        var value: Int64 = 0
        for index in start..<(start &+ digits) {
            let digit = bytes[index] &- UInt8(ascii: "0")
            if digit > 9 { return nil }
            value = value &* 10 &+ Int64(digit)
        }
        return value
    }

    /// The nanoseconds after an optional point at `end`, which moves behind them.
    private static func fraction(
        _ bytes: UnsafeBufferPointer<UInt8>, from end: inout Int
    ) -> Int64? {
        guard bytes[end] == UInt8(ascii: ".") else { return 0 }
        end += 1
        var value: Int64 = 0
        var scale: Int64 = 1_000_000_000
        while end < bytes.count {
            let digit = bytes[end] &- UInt8(ascii: "0")
            if digit > 9 { break }
            if scale == 1 { return nil }
            scale /= 10
            value += Int64(digit) * scale
            end += 1
        }
        return scale == 1_000_000_000 ? nil : value
    }

    /// The minutes by which the time zone at `start`, which ends the text, is ahead of UTC.
    private static func offset(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int64? {
        guard start < bytes.count else { return nil }
        if bytes[start] | 0x20 == UInt8(ascii: "z") { return start + 1 == bytes.count ? 0 : nil }
        guard start + 6 == bytes.count, bytes[start + 3] == UInt8(ascii: ":"),
            let hours = number(bytes, at: start + 1, digits: 2), hours <= 23,
            let minutes = number(bytes, at: start + 4, digits: 2), minutes <= 59
        else { return nil }
        switch bytes[start] {
        case UInt8(ascii: "+"): return hours * 60 + minutes
        case UInt8(ascii: "-"): return -(hours * 60 + minutes)
        default: return nil
        }
    }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        if month == 2 {
            return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        }
        return 30 + ((month + (month >> 3)) & 1)
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible
    /// low-level date algorithms", `days_from_civil`), for years from 0.
    private static func days(toYear civilYear: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? civilYear - 1 : civilYear
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}

extension EventTime: CustomStringConvertible {
    /// The time in RFC 3339 format in UTC, with 0, 3, 6 or 9 fractional digits, as many as it
    /// needs.
    public var description: String {
        var seconds = nanoseconds / 1_000_000_000
        var fraction = nanoseconds % 1_000_000_000
        if fraction < 0 {
            fraction += 1_000_000_000
            seconds -= 1
        }
        var days = seconds / 86_400
        var rest = seconds % 86_400
        if rest < 0 {
            rest += 86_400
            days -= 1
        }
        let (year, month, day) = Self.civil(days: days)
        return String(unsafeUninitializedCapacity: 30) { buffer in
            // Safety: at most 30 bytes are written, all of them counted by `end`.
            var end = 0
            func put(_ value: Int64, digits: Int, then separator: Unicode.Scalar) {
                var value = value
                for index in (end..<(end + digits)).reversed() {
                    buffer[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value % 10)
                    value /= 10
                }
                buffer[end + digits] = UInt8(ascii: separator)
                end += digits + 1
            }
            put(year, digits: 4, then: "-")
            put(month, digits: 2, then: "-")
            put(day, digits: 2, then: "T")
            put(rest / 3_600, digits: 2, then: ":")
            put(rest / 60 % 60, digits: 2, then: ":")
            put(rest % 60, digits: 2, then: fraction == 0 ? "Z" : ".")
            if fraction % 1_000_000 == 0, fraction != 0 {
                put(fraction / 1_000_000, digits: 3, then: "Z")
            } else if fraction % 1_000 == 0, fraction != 0 {
                put(fraction / 1_000, digits: 6, then: "Z")
            } else if fraction != 0 {
                put(fraction, digits: 9, then: "Z")
            }
            return end
        }
    }

    /// The date that is `days` after 1970-01-01 (Hinnant, `civil_from_days`), for dates from the
    /// year 0.
    private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}

extension EventTime: Codable {
    /// Reads a time from a string in RFC 3339 format.
    ///
    /// - Throws: `DecodingError.dataCorrupted`, which names the text.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let time = EventTime(rfc3339: text) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "\"\(text.prefix(64))\" is no RFC 3339 time from 1677-09-21 to "
                    + "2262-04-11, such as \"2024-02-29T23:59:59.123Z\".")
        }
        self = time
    }

    /// Writes the time as a string in RFC 3339 format.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
