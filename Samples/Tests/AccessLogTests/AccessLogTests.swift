import Testing
import Weir
import WeirTesting

@testable import access_log

@Suite struct `A line of an access log` {
    private static let combined = """
        203.0.113.9 - ada [21/Nov/2026:17:00:01 +0100] "GET /a/b?q=1 HTTP/1.1" 200 612 \
        "http://x/" "curl/7"
        """

    @Test func `is read in the combined format`() throws {
        let line = try LogLine(Self.combined)
        #expect(
            line
                == LogLine(
                    client: "203.0.113.9",
                    at: try #require(EventTime(rfc3339: "2026-11-21T16:00:01Z")),
                    method: "GET", path: "/a/b", status: 200, bytes: 612))
    }

    @Test func `may end with the time the request took`() throws {
        #expect(try LogLine(Self.combined + " 0.125").seconds == 0.125)
        #expect(try LogLine(Self.combined + #" "0.5""#).seconds == 0.5)
        #expect(try LogLine(Self.combined + " -").seconds == nil)
    }

    @Test func `is read in the common format and as Python writes it`() throws {
        let common = #"::1 - - [01/Jan/2026:00:00:00 +0000] "HEAD / HTTP/1.0" 304 -"#
        #expect(try LogLine(common).status == 304)
        let python = #"127.0.0.1 - - [21/Nov/2026 17:00:00] "GET /x HTTP/1.1" 404 -"#
        #expect(try LogLine(python).at == EventTime(rfc3339: "2026-11-21T17:00:00Z"))
    }

    @Test(arguments: [
        (#""\x16\x03\x01" 400 0"#, "-"), (#""-" 408 0"#, "-"), (#""" 400 0"#, "-"),
        (#""GET /a\"b HTTP/1.1" 200 1"#, #"/a\"b"#), (#""GET /é HTTP/1.1" 200 1"#, "/é"),
    ])
    func `may have a request that is none`(rest: String, path: String) throws {
        #expect(try LogLine("1.2.3.4 - - [21/Nov/2026:17:00:00 +0000] " + rest).path == path)
    }

    @Test(arguments: [
        "", " ", "x", "a b c", "a b c [", "a b c [] \"\"", "a - - [21/Nov/2026:17:00:00 +0000]",
        #"a - - [21/Xxx/2026:17:00:00 +0000] "GET / HTTP/1.1" 200 1"#,
        #"a - - [99/Nov/2026:17:00:00 +0000] "GET / HTTP/1.1" 200 1"#,
        #"a - - [21/Nov/2026:17:00:00 0] "GET / HTTP/1.1" 200 1"#,
        #"a - - [21/Nov/2026:17:00:00 +0000] "GET / HTTP/1.1 200 1"#,
        #"a - - [21/Nov/2026:17:00:00 +0000] "GET / HTTP/1.1\"#,
        #"a - - [21/Nov/2026:17:00:00 +0000] "GET / HTTP/1.1" OK 1"#,
        #"a - - [21/Nov/2026:17:00:00 +0000] "GET / HTTP/1.1" 200 -5"#,
        #"a - - [21/Nov/2026:17:00:00 +0000] "GET / HTTP/1.1" 200"#,
    ])
    func `of another form is refused`(text: String) {
        #expect(throws: MalformedLine.self) { try LogLine(text) }
    }
}

@Suite struct `The report of an access log` {
    private func line(_ second: Int, _ status: Int, _ path: String, _ seconds: String) -> String {
        let clock = "17:0\(second / 60):" + (second % 60 < 10 ? "0" : "") + "\(second % 60)"
        let request = #""GET \#(path) HTTP/1.1" \#(status) 10 "-" "-" \#(seconds)"#
        return "::1 - - [21/Nov/2026:\(clock) +0000] " + request
    }

    @Test func `has errors and slow paths of each window`() throws {
        let lines = SourceProbe<String>()
        let reports = SinkProbe<Report>()
        let topology = Topology("log") {
            EventStream("lines", from: lines.source).reports(every: .seconds(60)).sink(reports.sink)
        }
        let test = try TopologyTest(topology)
        lines.send(
            line(0, 200, "/fast", "0.001"), "rubbish", line(1, 502, "/slow?x", "2"),
            line(2, 404, "/fast", "0.003"), line(3, 200, "/slow", "1"), line(61, 200, "/", "-"))
        lines.finish()
        try test.finish()
        let first = try #require(reports.received.first)
        #expect(reports.received.map(\.requests) == [4, 1])
        #expect([first.serverErrors, first.clientErrors, first.bytes] == [1, 1, 40])
        #expect(first.errorRate == 0.25)
        #expect(
            first.slow == [
                .init(path: "/slow", requests: 2, errors: 1, mean: 1.5, slowest: 2),
                .init(path: "/fast", requests: 2, errors: 0, mean: 0.002, slowest: 0.003),
            ])
        #expect(reports.received.last?.slow.isEmpty == true)
        #expect(test.running.deadLetters.letters.map(\.eventText) == ["rubbish"])
    }

    @Test func `comes while the log is quiet`() throws {
        let lines = SourceProbe<String>()
        let reports = SinkProbe<Report>()
        let topology = Topology("log") {
            EventStream("lines", from: lines.source).reports(every: .seconds(10)).sink(reports.sink)
        }
        let test = try TopologyTest(topology)
        lines.send(line(0, 200, "/", "-"))
        try test.advance(by: .seconds(15))
        #expect(reports.received.map(\.requests) == [1])
        try test.cancel()
    }

    @Test func `tells a bounded number of paths apart`() throws {
        var summary = Summary()
        for number in 0..<(Summary.pathMaximum + 500) {
            summary.add(try LogLine(line(0, 200, "/\(number)", "-")))
        }
        #expect(summary.paths.count == Summary.pathMaximum + 1)
        #expect(summary.paths[Summary.others]?.requests == 500)
    }
}
