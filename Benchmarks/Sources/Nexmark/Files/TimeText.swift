/// Times as `2026-01-01 00:00:00.123`, in milliseconds since 1970, UTC.
package enum TimeText {
    /// Year, month and day of a number of days since 1970, after Howard Hinnant ("chrono-Compatible
    /// Low-Level Date Algorithms").
    static func date(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    /// Days since 1970 of a date.
    static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// Appends the two lowest digits of a number.
    @inline(__always)
    private static func putTwo(_ value: Int, _ text: inout OutputSpan<UInt8>) {
        let tens = UInt32(truncatingIfNeeded: value) % 100
        text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: tens / 10))
        text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: tens % 10))
    }

    @inline(__always)
    private static func putDay(_ day: Int, _ text: inout OutputSpan<UInt8>) {
        let (year, month, day) = date(day)
        putTwo(year / 100, &text)
        putTwo(year, &text)
        text.append(UInt8(ascii: "-"))
        putTwo(month, &text)
        text.append(UInt8(ascii: "-"))
        putTwo(day, &text)
    }

    @inline(__always)
    private static func putMinute(_ minute: Int, _ text: inout OutputSpan<UInt8>) {
        putTwo(minute / 60, &text)
        text.append(UInt8(ascii: ":"))
        putTwo(minute % 60, &text)
    }

    /// Appends `2026-01-01`.
    package static func appendDay(_ day: Int, to text: inout [UInt8]) {
        text.append(addingCapacity: 10) { putDay(day, &$0) }
    }

    /// Appends `00:00`, of a minute of a day.
    package static func appendMinute(_ minute: Int, to text: inout [UInt8]) {
        text.append(addingCapacity: 5) { putMinute(minute, &$0) }
    }

    /// Appends a time.
    package static func append(_ time: Int, to text: inout [UInt8]) {
        let day = time >= 0 ? time / 86_400_000 : (time - 86_399_999) / 86_400_000
        let rest = time - day * 86_400_000
        text.append(addingCapacity: 23) { text in
            putDay(day, &text)
            text.append(UInt8(ascii: " "))
            putMinute(rest / 60_000, &text)
            text.append(UInt8(ascii: ":"))
            putTwo(rest / 1_000 % 60, &text)
            text.append(UInt8(ascii: "."))
            text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 1_000 / 100))
            putTwo(rest % 100, &text)
        }
    }

    /// Reads a time; the fraction of the second may have any number of digits, or be missing.
    package static func parse(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
        func number(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= text.count else { return nil }
            var value = 0
            for index in range {
                let digit = Int(text[index]) - 48
                guard (0...9).contains(digit) else { return nil }
                value = value * 10 + digit
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16),
            let second = number(17..<19), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var milliseconds = 0
        if text.count > 20 {
            let end = min(text.count, 23)
            guard let fraction = number(20..<end) else { return nil }
            milliseconds = fraction * [1, 100, 10, 1][end - 20]
        }
        return ((days(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1_000
            + milliseconds
    }
}
