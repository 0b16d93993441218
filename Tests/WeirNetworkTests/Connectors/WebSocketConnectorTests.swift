import Synchronization
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `WebSocket sources and sinks` {
    @Test func `carry events in, through a filter, and out`() async throws {
        let topology = Topology("filter") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self))
                .filter { $0.value > 0 }
                .sink(.webSocket("/out", port: 0))
        }
        let running = try await topology.start(.quiet())
        let output = try await Listener(try running.web, "/out")
        let input = try await Listener(try running.web, "/in")
        for reading in [Reading(id: 1, value: 2.5), Reading(id: 2, value: -1)] {
            try await input.client.send(reading.json)
        }
        try await input.client.send([UInt8](Reading(id: 3, value: 4).json.utf8))
        #expect(
            await output.texts.wait(for: 2) == [
                #"{"id":1,"value":2.5}"#, #"{"id":3,"value":4}"#,
            ])
        try await running.drain()
        #expect(await output.closures.wait(for: 1)[0].code == .goingAway)
        #expect(await input.closures.wait(for: 1)[0].code == .goingAway)
    }

    @Test func `send malformed JSON to the dead letters and go on`() async throws {
        let seen = Recorder<Reading>()
        let topology = Topology("malformed") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self)).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let letters = running.recordDeadLetters()
        let input = try await Listener(try running.web, "/in")
        try await input.client.send(Reading(id: 1, value: 1).json)
        try await input.client.send(#"{"id":2,"value":"much"}"#)
        try await input.client.send(#"{"id":3"#)
        try await input.client.send(Reading(id: 4, value: 4).json)
        #expect(await seen.wait(for: 2).map(\.id) == [1, 4])
        let found = await letters.wait(for: 2)
        #expect(found.map(\.stage) == ["in", "in"])
        #expect(found.map { $0.event as? [UInt8] }[1] == [UInt8](#"{"id":3"#.utf8))
        #expect(found[0].reason.contains("value"))
        #expect(found.allSatisfy { $0.origin?.hasPrefix("127.0.0.1:") == true })
        #expect(running.deadLetters.total == 2)
        #expect(input.closures.values.isEmpty)
        try await running.drain()
    }

    @Test func `close a connection that breaks the protocol, and no other`() async throws {
        let seen = Recorder<Reading>()
        let topology = Topology("frames") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self)).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let address = try running.web
        let good = try await Listener(address, "/in")
        let broken: [(RawFrame, UInt16)] = [
            (RawFrame(opcode: 1, payload: [65], key: nil), 1_002),
            (RawFrame(opcode: 3), 1_002),
            (RawFrame(opcode: 1, payload: [0xC3, 0x28]), 1_007),
            (RawFrame(opcode: 1, announced: 1 << 40), 1_009),
        ]
        for (frame, code) in broken {
            let client = try await openRaw(address, "/in")
            try await client.send(frame.bytes)
            let answer = await client.receive()
            let end = try #require(answer.firstRange(of: [13, 10, 13, 10]))
            let close = Array(answer[end.upperBound...])
            #expect(close.first == 0x88, "code \(code)")
            #expect(UInt16(close[2]) << 8 | UInt16(close[3]) == code)
            try await client.close()
        }
        try await good.client.send(Reading(id: 1, value: 1).json)
        #expect(await seen.wait(for: 1).count == 1)
        try await running.drain()
    }

    @Test func `share one port between sources, sinks and a page`() async throws {
        let topology = Topology("shared") {
            WebPage("/", port: 0, .html("<h1>Readings</h1>"))
            let first = EventStream("a", from: .webSocket("/a", port: 0, as: Reading.self))
            let second = EventStream("b", from: .webSocket("/b", port: 0, as: Reading.self))
            first.merge(second).sink(.webSocket("/all", port: 0))
        }
        let running = try await topology.start(.quiet())
        let address = try running.web
        #expect(running.addresses.count == 1)
        let page = try await RawClient.connect(to: address, on: Loop.shared())
        try await page.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        #expect(await page.receiveText().contains("<h1>Readings</h1>"))
        let all = try await Listener(address, "/all")
        let (first, second) = (
            try await Listener(address, "/a"), try await Listener(address, "/b")
        )
        try await first.client.send(Reading(id: 1, value: 1).json)
        try await second.client.send(Reading(id: 2, value: 2).json)
        #expect(Set(await all.texts.wait(for: 2)).count == 2)
        try await running.drain()
    }

    @Test func `that restart leave clients and other routes alone`() async throws {
        struct Broken: Error {}
        let all = Supervisor(.oneForAll, name: "all", intensity: 100, backoff: .none)
        let fails = Mutex(true)
        let topology = Topology("restart") {
            WebPage("/in", port: 0, .text("page in"))
            WebPage("/out", port: 0, .text("page out"))
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self)).supervised(all)
                .map { reading in
                    if reading.id == 2, fails.withLock({ exchange(&$0, with: false) }) {
                        throw Broken()
                    }
                    return reading
                }
                .supervised(all)
                .sink(.webSocket("/out", port: 0)).supervised(all)
        }
        let running = try await topology.start(.quiet())
        let address = try running.web
        let output = try await Listener(address, "/out")
        // The stage and its source restart; the sink restarts with the next event.
        while running.status().stage("in")?.restarts ?? 0 < 2 {
            fails.withLock { $0 = true }
            guard let input = try? await Listener(address, "/in") else { continue }
            for id in 1...2 { try? await input.client.send(Reading(id: id, value: 1).json) }
            await input.client.close()
        }
        // Refused while the source does not run, and lost if it restarts just then.
        let last = Reading(id: 3, value: 1.5).json
        while output.closures.values.isEmpty, !output.texts.values.contains(last) {
            guard let again = try? await Listener(address, "/in") else { continue }
            try? await again.client.send(last)
            await again.client.close()
        }
        #expect(output.closures.values.isEmpty)
        for path in ["/in", "/out"] {
            let (status, body, _) = try await ask(address, path)
            #expect(status == 200 && body == "page \(path.dropFirst())")
        }
        try await running.drain()
        #expect(await output.closures.wait(for: 1)[0].code == .goingAway)
    }

    @Test func `refuse to start when the port is in use`() async throws {
        let first = Topology("first") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self)).sink(.discard)
        }
        let running = try await first.start(.quiet())
        let port = try running.web.port
        let second = Topology("second") {
            EventStream("in", from: .webSocket("/in", port: port, as: Reading.self)).sink(.discard)
        }
        let error = try #require(
            await #expect(throws: NetworkError.self) { _ = try await second.start(.quiet()) })
        #expect(error.code == .addressInUse)
        #expect(error.description.contains("127.0.0.1:\(port)"))
        try await running.drain()
        // The port is free again.
        try await second.start(.quiet()).drain()
    }
}
