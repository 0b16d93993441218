import HTTPTypes
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite struct `A parser of event streams` {
    private func read(_ pieces: [ArraySlice<UInt8>], limit: Int = 100) -> [String] {
        var parser = ServerSentEventParser(maximumLength: limit)
        var found: [String] = []
        do {
            for piece in pieces {
                try piece.withUnsafeBytes { bytes in
                    try parser.consume(bytes) {
                        found.append("\($0.id ?? "-")|\($0.name)|\($0.data)")
                    }
                }
            }
        } catch {
            return found + ["!"]
        }
        return found + ["\(parser.lastEventID)|\(parser.retry.map { "\($0)" } ?? "-")"]
    }

    @Test(
        arguments: [
            ("data: a\n\n", ["-|message|a", "|-"]),
            ("\u{FEFF}data:a\r\ndata: b\r\n\r\n", ["-|message|a\nb", "|-"]),
            ("id: 1\rdata: x\r\rid\rdata: y\r\r", ["1|message|x", "-|message|y", "|-"]),
            (": c\nevent: e\nid: 7\nretry: 250\ndata\n\n", ["7|e|", "7|0.25 seconds"]),
            ("event: e\n\ndata:  two\n\n", ["-|message| two", "|-"]),
            ("data: a", ["|-"]), ("id: a\u{0}b\ndata: x\nretry: 1x\n\n", ["-|message|x", "|-"]),
            ("data: \(String(repeating: "x", count: 120))", ["!"]),
        ] as [(String, [String])])
    func `reads the same over every cut`(_ text: String, _ expected: [String]) {
        let bytes = Array(text.utf8)
        #expect(read([bytes[...]]) == expected)
        #expect(read(bytes.indices.map { bytes[$0...$0] }) == expected)
        for cut in 0...bytes.count {
            #expect(read([bytes[..<cut], bytes[cut...]]) == expected)
        }
    }

    @Test func `reads what an event writes`() {
        var bytes: [UInt8] = []
        ServerSentEvent(id: "a\n1", name: "k", data: "x\r\ny\rz\n").append(to: &bytes)
        ServerSentEvent(data: "").append(to: &bytes)
        #expect(read([bytes[...]]) == ["a1|k|x\ny\nz\n", "a1|message|", "a1|-"])
    }
}

@Suite(.timeLimit(.minutes(5))) struct `Server-sent events` {
    private static func get(_ path: String, _ headers: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: h\r\n\(headers)\r\n"
    }

    /// A topology that sends what is posted to it as events.
    private func start(
        port: Int = 0, _ options: ServerSentEventOptions = ServerSentEventOptions()
    ) async throws -> RunningTopology {
        let topology = Topology("events") {
            ServerSettings.patient(port: port)
            EventStream("in", from: .http("/in", port: port, as: Reading.self))
                .sink(.serverSentEvents("/out", port: port, options: options))
        }
        return try await topology.start(.quiet())
    }

    /// Posts until it is taken: while the mailbox is full the answer is 429.
    private func post(_ ids: Range<Int>, _ address: SocketAddress) async throws {
        let body = ids.map { Reading(id: $0, value: 1).json }.joined(separator: ",")
        var status = 429
        while status == 429 {
            let answers = try await PostClient(address).exchange(PostClient.last("[\(body)]"))
            status = try #require(answers.first).status
        }
        #expect(status == 202)
    }

    private func text(_ client: RawClient, until id: Int) async -> String {
        let end = Array(#"{"id":\#(id),"value":1}"#.utf8) + [10, 10]
        return String(decoding: await client.receive { $0.suffix(end.count) == end }, as: UTF8.self)
    }

    private func ids(_ text: String) -> [Int] {
        text.split(separator: #"data: {"id":"#).dropFirst().map { part in
            Int(part.prefix { $0 != "," }) ?? -1
        }
    }

    @Test func `reach all who listen, and those who come back`() async throws {
        let running = try await start()
        let address = try running.web
        let first = try await RawClient.connect(to: address, on: Loop.shared())
        try await first.send(Self.get("/out"))
        _ = await first.receive { String(decoding: $0, as: UTF8.self).hasSuffix("retry: 3000\n\n") }
        try await post(0..<3, address)
        let seen = await text(first, until: 2)
        #expect(seen.contains("Content-Type: text/event-stream"))
        #expect(ids(seen) == [0, 1, 2])
        let last = try #require(
            seen.split(separator: "id: ").dropFirst().map { $0.prefix { $0 != "\n" } }.dropFirst()
                .first)
        let again = try await RawClient.connect(to: address, on: Loop.shared())
        try await again.send(Self.get("/out", "Last-Event-ID: \(last)\r\n"))
        let replayed = await text(again, until: 2)
        #expect(ids(replayed) == [2] && !replayed.contains(": missed"))
        let stranger = try await RawClient.connect(to: address, on: Loop.shared())
        try await stranger.send(Self.get("/out", "Last-Event-ID: other-1\r\n"))
        let all = await text(stranger, until: 2)
        #expect(ids(all) == [0, 1, 2] && all.contains(": missed"))
        async let drained: Void = running.drain()
        _ = await first.receive()
        try await drained
    }

    @Test func `are kept for those who come back as far as there is room`() async throws {
        var options = ServerSentEventOptions()
        options.replayCount = 5
        let running = try await start(options)
        let address = try running.web
        let first = try await RawClient.connect(to: address, on: Loop.shared())
        try await first.send(Self.get("/out"))
        _ = await first.receive { String(decoding: $0, as: UTF8.self).hasSuffix("retry: 3000\n\n") }
        try await post(0..<100, address)
        // An answer says that events are taken, the last of them that all were sent.
        _ = await text(first, until: 99)
        let client = try await RawClient.connect(to: address, on: Loop.shared())
        try await client.send(Self.get("/out", "Last-Event-ID: x\r\n"))
        #expect(ids(await text(client, until: 99)) == [95, 96, 97, 98, 99])
        try await running.drain()
    }

    @Test func `disconnect who reads too slowly, and count it`() async throws {
        var options = ServerSentEventOptions()
        options.queuedBytes = 1_000
        options.replayCount = 0
        let running = try await start(options)
        let address = try running.web
        let loop = try Loop()
        let slow = try await RawClient.connect(to: address, on: loop, isReading: false)
        try await slow.send(Self.get("/out"))
        while try running.serverCounters.requests < 1 { await Task.yield() }
        var id = 0
        while try running.serverCounters.slowConsumersClosed == 0 {
            try await post(id..<(id + 2_000), address)
            id += 2_000
            try #require(id < 2_000_000)
        }
        // The count reaches the status once the stage has its turn.
        while try #require(running.status().stages.last).dropped["slowConsumer"] ?? 0 == 0 {
            await Task.yield()
        }
        try await running.drain()
        await loop.stop()
    }

    @Test func `come into a topology, over a connection that is lost`() async throws {
        let server = try await TestServer()
        let asked = Recorder<String>()
        server.server.addHandler(.get, "/feed") { request in
            let last = request.head.headers["Last-Event-ID"] ?? "none"
            asked.append(last)
            let body: String
            switch last {
            case "none":
                body =
                    "retry: 1\nid: a\ndata: {\"id\":1,\"value\":1}\n\nid: b\ndata: {\"id\":2,\"value\":1}\n\n"
            case "b":
                body =
                    "id: c\ndata: nonsense\n\nevent: other\ndata: {}\n\n"
                    + "id: d\ndata: {\"id\":3,\"value\":1}\n\ndata: {\"id\":4"
            default: return HTTPReply(status: 204)
            }
            return HTTPReply(contentType: "text/event-stream", body: body.utf8)
        }
        let seen = Recorder<Int>()
        var options = ServerSentEventSourceOptions()
        options.eventNames = ["message"]
        let url = "http://\(server.address)/feed"
        let topology = Topology("feed") {
            EventStream(
                "in", from: .serverSentEvents(from: url, as: Reading.self, options: options)
            )
            .map(\.id).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        try await running.waitUntilFinished()
        #expect(seen.values == [1, 2, 3])
        #expect(asked.values == ["none", "b", "d"])
        #expect(running.deadLetters.total == 1)
        await server.stop()
    }

    @Test func `are asked for again after pauses within bounds`() {
        var generator = SplitMix64(seed: 7)
        var options = ServerSentEventSourceOptions()
        options.longestPause = .seconds(20)
        for retry in [0, 1, 999_999_999] as [Int] {
            var pauses = EventStreamPauses(options)
            for _ in 0..<1_000 {
                pauses.succeeded(askedFor: .milliseconds(retry))
                let pause = pauses.next(using: &generator)
                #expect(pause >= .milliseconds(50) && pause <= .seconds(20))
            }
        }
        // What a server may ask for, without a wait of all clients for the same time.
        var pauses = EventStreamPauses(options)
        let drawn = (0..<100).map { _ in
            pauses.succeeded(askedFor: .seconds(4))
            return pauses.next(using: &generator)
        }
        #expect(drawn.allSatisfy { (.seconds(2) ... .seconds(6)).contains($0) })
        #expect(Set(drawn).count > 10)
        // They double up to the longest.
        var longest = Duration.zero
        for _ in 0..<100 { longest = max(longest, pauses.next(using: &generator)) }
        #expect(longest <= .seconds(20) && longest > .seconds(10))
        pauses.succeeded(askedFor: nil)
        #expect(pauses.next(using: &generator) <= .milliseconds(1_500))
    }

    @Test func `come from one topology into another`() async throws {
        let sender = try await start()
        let address = try sender.web
        let seen = Recorder<Int>()
        let topology = Topology("feed") {
            EventStream(
                "in", from: .serverSentEvents(from: "http://\(address)/out", as: Reading.self)
            ).map(\.id).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        while try sender.serverCounters.requests < 1 { await Task.yield() }
        for start in stride(from: 0, to: 5_000, by: 500) {
            try await post(start..<(start + 500), address)
        }
        #expect(await seen.wait(for: 5_000).elementsEqual(0..<5_000))
        try await running.drain()
        try await sender.drain()
    }
}
