import HTTPTypes
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A source with a rate` {
    private func start(
        _ seen: Recorder<Int>, _ source: Source<Reading>,
        access: AccessControl? = nil, rate: RateLimit? = nil
    ) async throws -> RunningTopology {
        let topology = Topology("rate") {
            ServerSettings(port: 0, access: access) {
                $0.rate = rate
                // A slow machine is not what is tested.
                ($0.headTimeout, $0.bodyTimeout) = (.seconds(240), .seconds(240))
            }
            EventStream("in", from: source).map(\.id).sink(seen.sink)
        }
        return try await topology.start(.quiet())
    }

    /// Nothing is left after so many events, and next to nothing comes back.
    private func narrow(_ burst: Int, _ excess: RateLimit.Excess) -> RateLimit {
        RateLimit(eventsPerSecond: 1.0 / 600, burst: burst, excess: excess)
    }

    @Test(arguments: Carrier.allCases)
    func `makes senders wait, and takes all they send`(carrier: Carrier) async throws {
        let seen = Recorder<Int>()
        let running = try await start(
            seen, carrier.source(port: 0), rate: RateLimit(eventsPerSecond: 2_000, burst: 10))
        let url = carrier.url(try carrier.address(running, port: 0).port)
        let sender = try await AcknowledgedSender.connect(
            to: url, producer: "p", configuration: carrier.sender)
        for id in 0..<500 {
            try await sender.send(Array(Reading(id: id, value: 1).json.utf8))
        }
        #expect(await seen.wait(for: 500) == Array(0..<500))
        await sender.close()
        try await running.drain()
    }

    @Test func `stops reading a socket for as long as its debt lasts`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(
            seen, .webSocket("/in", port: 0), rate: narrow(3, .wait))
        let raw = try await openRaw(try running.web, "/in")
        let text = RawFrame.text(Reading(id: 1, value: 1).json).bytes
        try await raw.send(text + text + text + text)
        _ = await seen.wait(for: 4)
        while try running.serverCounters.accessRefused["rate"] == nil { await Task.yield() }
        // It is not read: a close frame stays unanswered until the source ends.
        try await raw.send(RawFrame.text(Reading(id: 2, value: 1).json).bytes)
        try await running.drain()
        #expect(seen.values.count == 4)
    }

    @Test func `closes a WebSocket with 1008 when it is told to`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(
            seen, .webSocket("/in", port: 0), rate: narrow(1, .refuse))
        let listener = try await Listener(try running.web, "/in")
        try await listener.client.send(
            (1...5).map { WebSocketFrame(text: Reading(id: $0, value: 1).json) })
        #expect(await listener.closures.wait(for: 1)[0].code == .policyViolation)
        #expect(try running.serverCounters.accessRefused["rate"] == 1)
        try await running.drain()
    }

    @Test(arguments: ["", "later "])
    func `answers 429 over all connections of an identity`(prefix: String) async throws {
        let seen = Recorder<Int>()
        var access = AccessControl(WordsAuthenticator())
        access.identityRate = narrow(2, .refuse)
        let running = try await start(
            seen, .http("/in", port: 0, as: Reading.self), access: access)
        func post(_ token: String, _ body: String) async throws -> Int {
            try await ask(
                try running.web, "/in", token: prefix + token, method: .post, body: body
            ).status
        }
        let three = #"[{"id":1,"value":1},{"id":2,"value":1},{"id":3,"value":1}]"#
        #expect(try await post("anna:ingest", three) == 202)
        #expect(try await post("anna:ingest", three) == 429)
        #expect(try await post("bert:ingest", three) == 202)
        #expect(await seen.wait(for: 6).count == 6)
        try await running.drain()
        #expect(seen.values.count == 6)
    }

    @Test func `holds lines back, or ends them with 429`() async throws {
        let lines = (0..<50).map { Reading(id: $0, value: 1).json }
        for excess in [RateLimit.Excess.wait, .refuse] {
            let seen = Recorder<Int>()
            let running = try await start(
                seen, .http("/in", port: 0, as: Reading.self),
                rate: excess == .wait
                    ? RateLimit(eventsPerSecond: 1_000, burst: 1) : narrow(1, .refuse))
            let raw = try await RawClient.connect(to: try running.web, on: Loop.shared())
            try await raw.send(
                "POST /in HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                    + "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
            for line in lines {
                try await raw.send("\(String(line.utf8.count + 1, radix: 16))\r\n\(line)\n\r\n")
            }
            try await raw.send("0\r\n\r\n")
            let answer = PostClient.answers(await raw.receiveText())
            try #require(answer.map(\.status) == [excess == .wait ? 202 : 429])
            if excess == .wait {
                #expect(await seen.wait(for: 50) == Array(0..<50))
            } else {
                #expect(answer[0].body.contains(#""accepted":"#))
            }
            try await running.drain()
        }
    }

    @Test func `lets a document wait until the debt is paid`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(
            seen, .http("/in", port: 0, as: Reading.self),
            rate: RateLimit(eventsPerSecond: 200, burst: 1))
        let raw = try await RawClient.connect(to: try running.web, on: Loop.shared())
        let one = PostClient.request(Reading(id: 1, value: 1).json)
        try await raw.send(one + one + one + PostClient.last(Reading(id: 2, value: 1).json))
        #expect(PostClient.answers(await raw.receiveText()).map(\.status) == [202, 202, 202, 202])
        #expect(await seen.wait(for: 4) == [1, 1, 1, 2])
        #expect(try running.serverCounters.accessRefused["rate"] ?? 0 > 0)
        try await running.drain()
    }
}
