import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

private func parse(_ text: String) throws -> [StatsDMetric] {
    try Array(text.utf8).withUnsafeBytes { try StatsDParser.parse($0) }
}

@Suite(.timeLimit(.minutes(5))) struct `StatsD` {
    @Test func `reads every kind of measurement`() throws {
        let lines: [(String, StatsDMetric)] = [
            ("a.b:1|c", .init(name: "a.b", kind: .counter, value: 1)),
            ("a:3|c|@0.1", .init(name: "a", kind: .counter, value: 3, sampleRate: 0.1)),
            ("a:-2|c", .init(name: "a", kind: .counter, value: -2)),
            ("a:320|ms|@1", .init(name: "a", kind: .timer, value: 320)),
            ("a:1.5e3|h", .init(name: "a", kind: .histogram, value: 1_500)),
            ("a:.5|d", .init(name: "a", kind: .distribution, value: 0.5)),
            ("a:333|g", .init(name: "a", kind: .gauge, value: 333)),
            ("a:-10|g", .init(name: "a", kind: .gauge, value: -10, isChange: true)),
            ("a:+4|g", .init(name: "a", kind: .gauge, value: 4, isChange: true)),
            ("u:till:7|s", .init(name: "u", kind: .set, member: "till:7")),
            (
                "é:1|c|#shop:Köln,new,url:http://x|@0.5|c:container|T1656581400",
                .init(
                    name: "é", kind: .counter, value: 1, sampleRate: 0.5,
                    tags: [
                        .init(name: "shop", value: "Köln"), .init(name: "new"),
                        .init(name: "url", value: "http://x"),
                    ])
            ),
        ]
        for (line, metric) in lines { #expect(try parse(line) == [metric], "\(line)") }
        #expect(try parse("a:1:2:3|d").map(\.value) == [1, 2, 3])
        #expect(try parse("").isEmpty)
    }

    @Test(arguments: [
        ("a", 1), ("a|c", 1), (":1|c", 0), ("a:|c", 2), ("a:1|", 4), ("a:1|x", 4), ("a:x|c", 2),
        ("a:1||", 4), ("a:1|c|", 6), ("a:1|c|@0", 7), ("a:1|c|@1.1", 7), ("a:1|c|@", 7),
        ("a:1|c|#a,,b", 9), ("a:nan|g", 2), ("a:inf|g", 2), ("a:0x10|g", 2), ("a:1e999|g", 2),
        ("a\u{1}:1|c", 1), ("a:1:x|d", 4), ("a:|s", 2), ("a:1|c|#:x", 7), ("a:1|c\n", 4),
    ])
    func `tells where a line is wrong`(_ line: String, _ offset: Int) throws {
        let error = try #require(throws: StatsDError.self) { try parse(line) }
        #expect(error.offset == offset, "\(line): \(error)")
    }

    @Test func `takes the lines of datagrams and passes over what is none`() async throws {
        let seen = Recorder<StatsDMetric>()
        let topology = Topology("metrics") {
            EventStream("in", from: .statsD(port: 0)).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let letters = running.recordDeadLetters()
        let sender = try await DatagramSender.to(try running.udp)
        try await sender.send("a:1|c\nb:2:3|h|#x:y\nnonsense\n", "c:z|s")
        let all = await seen.wait(for: 4)
        #expect(all.map(\.name) == ["a", "b", "b", "c"])
        #expect(all[2].tag("x") == "y")
        let letter = await letters.wait(for: 1)[0]
        #expect(letter.eventText == "nonsense")
        #expect(letter.reason.contains("at byte 8"))
        try await running.drain()
    }
}
