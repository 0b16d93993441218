import Testing
import WeirCore

@testable import WeirNetwork

private func parse(_ text: String) throws -> SyslogMessage {
    try Array(text.utf8).withUnsafeBytes { try SyslogParser.parse($0) }
}

private func parse(_ bytes: [UInt8]) throws -> SyslogMessage {
    try bytes.withUnsafeBytes { try SyslogParser.parse($0) }
}

@Suite struct `A parser of syslog messages` {
    @Test func `reads the examples of RFC 5424`() throws {
        let first = try parse(
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - "
                + "\u{FEFF}'su root' failed for lonvick on /dev/pts/8")
        #expect(first.facility == 4)
        #expect(first.severity == .critical)
        #expect(first.timestamp == EventTime(rfc3339: "2003-10-11T22:14:15.003Z"))
        #expect(first.hostName == "mymachine.example.com")
        #expect(first.appName == "su")
        #expect(first.processID == nil)
        #expect(first.messageID == "ID47")
        #expect(first.structuredData.isEmpty)
        #expect(first.text == "'su root' failed for lonvick on /dev/pts/8")

        let second = try parse(
            "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - "
                + "%% It's time to make the do-nuts.")
        #expect(second.facility == 20)
        #expect(second.severity == .notice)
        #expect(second.timestamp == EventTime(rfc3339: "2003-08-24T12:14:15.000003Z"))
        #expect(second.processID == "8710")
        #expect(second.text == "%% It's time to make the do-nuts.")

        let third = try parse(
            "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
                + #"[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"]"#
                + #"[examplePriority@32473 class="high"]"#)
        #expect(third.structuredData.map(\.id) == ["exampleSDID@32473", "examplePriority@32473"])
        #expect(third.value("eventSource", in: "exampleSDID@32473") == "Application")
        #expect(third.value("class", in: "examplePriority@32473") == "high")
        #expect(third.text == nil)
    }

    @Test func `reads nothing where nothing is said`() throws {
        let message = try parse("<0>1 - - - - - -")
        #expect(message == SyslogMessage(facility: 0, severity: .emergency))
        #expect(try parse("<191>1 - - - - - - ").text == "")
    }

    @Test func `takes escapes off values, and leaves other backslashes`() throws {
        let message = try parse(#"<1>1 - - - - - [a b="q\"s\\b\]n\n" b="two"] x"#)
        #expect(
            message.structuredData == [
                SyslogElement(
                    id: "a",
                    values: [
                        .init(name: "b", value: #"q"s\b]n\n"#), .init(name: "b", value: "two"),
                    ])
            ])
    }

    @Test func `takes any bytes as text, but not behind the mark of UTF-8`() throws {
        let head = Array("<1>1 - - - - - - ".utf8)
        #expect(try parse(head + [0x61, 0xFF]).text == "a\u{FFFD}")
        #expect(throws: SyslogError.self) { try parse(head + [0xEF, 0xBB, 0xBF, 0xFF]) }
    }

    @Test(arguments: [
        ("", 0), ("x", 0), ("<>1 - - - - - -", 1), ("<192>1 - - - - - -", 1),
        ("<01>1 - - - - - -", 1), ("<1234>1 - - - - - -", 4), ("<1>2 - - - - - -", 3),
        ("<1>1", 4), ("<1>1 2003-10-11t22:14:15Z - - - - -", 5),
        ("<1>1 2003-10-11T22:14:15z - - - - -", 5),
        ("<1>1 2016-12-31T23:59:60Z - - - - -", 5),
        ("<1>1 2003-10-11T22:14:15.0000003Z - - - - -", 5),
        ("<1>1 2003-13-11T22:14:15Z - - - - -", 5), ("<1>1 2003-10-11 - - - - -", 5),
        ("<1>1 -  - - - -", 7), ("<1>1 - h\u{7F} - - - -", 8), ("<1>1 - - - - - x", 15),
        ("<1>1 - - - - -", 14), ("<1>1 - - - - - []", 16), ("<1>1 - - - - - [a", 17),
        (#"<1>1 - - - - - [a b]"#, 19), (#"<1>1 - - - - - [a b=c]"#, 20),
        (#"<1>1 - - - - - [a b="c]"]"#, 22), (#"<1>1 - - - - - [a b="c"#, 21),
        (#"<1>1 - - - - - [a][a]"#, 19), (#"<1>1 - - - - - [a]x"#, 18), ("<1>1 - - - - - -x", 16),
    ])
    func `tells where a message is wrong`(_ text: String, _ offset: Int) throws {
        let error = try #require(throws: SyslogError.self) { try parse(text) }
        #expect(error.offset == offset, "\(text): \(error)")
    }

    @Test func `keeps to the lengths of the RFC`() throws {
        func message(host: Int = 1, app: Int = 1, process: Int = 1, id: Int = 1) -> String {
            let words = [host, app, process, id].map { String(repeating: "x", count: $0) }
            return "<1>1 - \(words.joined(separator: " ")) - text"
        }
        #expect(try parse(message(host: 255, app: 48, process: 128, id: 32)).text == "text")
        for long in [message(host: 256), message(app: 49), message(process: 129), message(id: 33)] {
            #expect(throws: SyslogError.self) { try parse(long) }
        }
    }

    @Test func `reads what older programs send, when asked to`() throws {
        func legacy(_ text: String) throws -> SyslogMessage {
            try Array(text.utf8).withUnsafeBytes { try LegacySyslogParser.parse($0) }
        }
        let full = try legacy("<34>Oct 11 22:14:15 mymachine su[42]: 'su root' failed")
        #expect(full.hostName == "mymachine")
        #expect(full.appName == "su")
        #expect(full.processID == "42")
        #expect(full.text == "'su root' failed")
        #expect(full.timestamp == nil)
        // What `logger --socket` sends.
        let local = try legacy("<131>Nov 23 01:25:29 root[7]: the till is on fire")
        #expect(local.hostName == nil)
        #expect(local.appName == "root")
        #expect(local.processID == "7")
        #expect(local.text == "the till is on fire")
        #expect(try legacy("<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!").text == "Use the BFG!")
        #expect(try legacy("<13>just text").text == "just text")
        #expect(throws: SyslogError.self) { try legacy("no priority") }
    }
}

@Suite struct `A framing of syslog messages` {
    private func cut(
        _ bytes: [UInt8], pieces size: Int, _ framing: SyslogFraming = SyslogFraming()
    ) throws -> [String] {
        var framing = framing
        var seen: [String] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let used = try rest.prefix(size).withUnsafeBytes { piece in
                try framing.consume(piece) { frame in
                    seen.append(String(decoding: frame, as: UTF8.self))
                    return .proceed
                }
            }
            rest = rest.dropFirst(used)
        }
        try framing.finish { frame in
            seen.append(String(decoding: frame, as: UTF8.self))
            return .proceed
        }
        return seen
    }

    @Test func `tells lengths and lines apart, in pieces of any size`() throws {
        let bytes = Array("5 <1>ab<2>line\r\n12 <3>with\nfeed<4>\n7 <5>a\nb\n<6>last".utf8)
        let frames = [
            "<1>ab", "<2>line", "<3>with\nfeed", "<4>", "<5>a\nb\n", "<6>last",
        ]
        for size in 1...bytes.count {
            #expect(try cut(bytes, pieces: size) == frames, "in pieces of \(size)")
        }
    }

    @Test(arguments: ["x", "0 ", "01 a", "1x ", "999999999 ", "11 <", "4 <1>", " "])
    func `refuses what is neither`(_ text: String) {
        for size in 1...max(1, text.utf8.count) {
            #expect(throws: FramingError.self) {
                try cut(Array(text.utf8), pieces: size, SyslogFraming(maximumLength: 10))
            }
        }
    }

    @Test func `bounds what it keeps`() throws {
        let framing = SyslogFraming(maximumLength: 10)
        #expect(try cut(Array("<234567890\n".utf8), pieces: 3, framing) == ["<234567890"])
        #expect(throws: FramingError.self) {
            try cut(Array("<2345678901\n".utf8), pieces: 3, framing)
        }
        #expect(throws: FramingError.self) {
            try cut(Array("<2345678901\n".utf8), pieces: 20, framing)
        }
    }

    @Test func `wants lengths where lines are not allowed`() throws {
        let framing = SyslogFraming(allowsLines: false)
        #expect(try cut(Array("3 <1>".utf8), pieces: 9, framing) == ["<1>"])
        #expect(throws: FramingError.self) { try cut(Array("<1>\n".utf8), pieces: 9, framing) }
    }
}
