import Foundation
import Testing
import WeirCore

@Suite struct `An event time as text` {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2024-02-29T23:59:59.123+01:00", 1_709_247_599_123_000_000),
        ("2024-02-29t22:59:59.123z", 1_709_247_599_123_000_000),
        ("2000-01-01T00:00:00-00:00", 946_684_800_000_000_000),
        ("1999-12-31T16:00:00-08:00", 946_684_800_000_000_000),
        ("1996-12-19T16:39:57-08:00", 851_042_397_000_000_000),
        ("1937-01-01T12:00:27.87+00:20", -1_041_337_172_130_000_000),
        ("1985-04-12T23:20:50.52Z", 482_196_050_520_000_000),
        // A leap second is the second after it.
        ("1990-12-31T23:59:60Z", 662_688_000_000_000_000),
        ("1990-12-31T15:59:60.5-08:00", 662_688_000_500_000_000),
        ("1677-09-21T00:12:43.145224192Z", Int64.min),
        ("2262-04-11T23:47:16.854775807Z", Int64.max),
    ])
    func `is read`(text: String, nanoseconds: Int64) {
        #expect(EventTime(rfc3339: text) == EventTime(nanoseconds: nanoseconds))
        #expect(EventTime(rfc3339: "x\(text)y".dropFirst().dropLast())?.nanoseconds == nanoseconds)
        #expect(Array(text.utf8).withUnsafeBufferPointer { EventTime(rfc3339: $0) } != nil)
    }

    @Test(arguments: [
        "", "2024", "2024-02-29", "2024-02-29T23:59:59", "2024-02-29 23:59:59Z",
        "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2024-04-31T00:00:00Z",
        "2024-00-01T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-00T00:00:00Z",
        "2024-01-32T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z", "2024-01-01T00:00:60Z", "1990-12-31T23:59:60+01:00",
        "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00,5Z",
        "2024-01-01T00:00:00+1:00", "2024-01-01T00:00:00+0100", "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+01:60", "2024-01-01T00:00:00+01:00x", "2024-01-01T00:00:00Zx",
        " 2024-01-01T00:00:00Z", "+2024-01-01T00:00:00Z", "2024/01/01T00:00:00Z",
        "2024-1-01T00:00:00Z", "2o24-01-01T00:00:00Z", "1677-09-21T00:12:43.145224191Z",
        "2262-04-11T23:47:16.854775808Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
        "2024-01-01T00:00:00.123456789+01:00 ", "2024-01-01T00:00:00\u{661}Z",
    ])
    func `is refused when it is not RFC 3339 or does not fit`(text: String) {
        #expect(EventTime(rfc3339: text) == nil)
    }

    @Test func `is printed with as many fractional digits as it needs`() {
        #expect("\(EventTime(nanoseconds: 0))" == "1970-01-01T00:00:00Z")
        #expect("\(EventTime(nanoseconds: -1))" == "1969-12-31T23:59:59.999999999Z")
        #expect("\(EventTime(nanoseconds: 1_500_000_000))" == "1970-01-01T00:00:01.500Z")
        #expect("\(EventTime(nanoseconds: 1_000))" == "1970-01-01T00:00:00.000001Z")
        #expect("\(EventTime.min)" == "1677-09-21T00:12:43.145224192Z")
        #expect("\(EventTime.max)" == "2262-04-11T23:47:16.854775807Z")
    }

    @Test func `reads back as it was printed`() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<3_000 {
            let unit: Int64 =
                [1, 1_000, 1_000_000, 1_000_000_000].randomElement(using: &random) ?? 1
            let time = EventTime(
                nanoseconds: Int64.random(in: .min ... .max, using: &random) / unit * unit)
            #expect(EventTime(rfc3339: time.description) == time)
        }
        // Every day of the range, so every month's end and every leap year.
        for day in -106_751...106_751 {
            let time = EventTime(nanoseconds: Int64(day) * 86_400_000_000_000)
            if EventTime(rfc3339: time.description) != time { Issue.record("day \(day)") }
        }
    }

    @Test func `agrees with Foundation on dates`() {
        let format = Date.ISO8601FormatStyle()
        for day in stride(from: -100_000, through: 100_000, by: 37) {
            let seconds = Int64(day) * 86_400 + 3_723
            let time = EventTime(nanoseconds: seconds * 1_000_000_000)
            let date = Date(timeIntervalSince1970: Double(seconds))
            #expect(time.description == date.formatted(format))
        }
    }

    @Test func `is coded as a string and names the text that it cannot read`() throws {
        let time = EventTime(nanoseconds: 1_500_000_000)
        let coded = try JSONEncoder().encode([time])
        #expect(String(decoding: coded, as: UTF8.self) == "[\"1970-01-01T00:00:01.500Z\"]")
        #expect(try JSONDecoder().decode([EventTime].self, from: coded) == [time])
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([EventTime].self, from: Data("[\"yesterday\"]".utf8))
        }
        #expect("\(error as Any)".contains("yesterday"))
    }

    @Test func `comes from seconds when they fit`() {
        #expect(EventTime(secondsSinceEpoch: -1, nanoseconds: 5)?.nanoseconds == -999_999_995)
        #expect(EventTime(secondsSinceEpoch: 9_223_372_037) == nil)
        #expect(EventTime(secondsSinceEpoch: -9_223_372_037, nanoseconds: 145_224_192) == .min)
    }
}
