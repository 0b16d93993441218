import Foundation
import Testing
import WeirCore
import WeirJournal
import WeirTestSupport

@testable import WeirNetwork

enum Carrier: String, CaseIterable, Sendable {
    case webSocket, tcp, lengths

    func source(port: Int) -> Source<Reading> {
        switch self {
        case .webSocket: .webSocket("/in", port: port)
        case .tcp: .tcp(port: port)
        case .lengths: .tcp(port: port, framing: .lengthPrefixed())
        }
    }

    func address(_ running: RunningTopology, port: Int) throws -> SocketAddress {
        let scheme = self == .webSocket ? "http" : "tcp"
        return try #require(running.addresses["\(scheme)://127.0.0.1:\(port)"])
    }

    func url(_ port: Int) -> String {
        self == .webSocket ? "ws://127.0.0.1:\(port)/in" : "tcp://127.0.0.1:\(port)"
    }

    var sender: AcknowledgedSender.Configuration {
        var configuration = AcknowledgedSender.Configuration()
        if self == .lengths { configuration.framing = .lengthPrefixed() }
        configuration.firstPause = .milliseconds(1)
        configuration.longestPause = .milliseconds(20)
        // A slow machine is not what is tested.
        configuration.connectTimeout = .seconds(240)
        return configuration
    }
}

extension RunConfiguration {
    static func stored(_ store: StateStore) -> RunConfiguration {
        var configuration = RunConfiguration.quiet(batchSize: 64)
        configuration.store = store
        return configuration
    }
}

private func payload(_ id: Int) -> [UInt8] { Array(Reading(id: id, value: 1).json.utf8) }

@Suite(.timeLimit(.minutes(5))) struct `The acknowledging protocol` {
    private func ids(in file: String) throws -> [Int] {
        try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
            try JSONDecoder().decode(Reading.self, from: Data($0.utf8)).id
        }
    }

    @Test func `asks for a checkpoint when its journal is full, and goes on`() async throws {
        let folder = try Folder()
        let file = "\(folder.path)/out.jsonl"
        // Taken only when asked for: nothing else would make room.
        let store = StateStore.directory(
            "\(folder.path)/store", checkpointEvery: .zero, keeping: 1)
        var limits = IngestLimits()
        limits.journalBytes = 64 << 10
        let topology = Topology("full") {
            EventStream(
                "in",
                from: Source<Reading>.tcp(port: 0, decoder: .json, limits: limits)
            ).sink(.transactionalJSONLines(toFile: file))
        }
        let running = try await topology.start(.stored(store))
        let address = try #require(running.addresses["tcp://127.0.0.1:0"])
        let sender = try await AcknowledgedSender.connect(
            to: "tcp://127.0.0.1:\(address.port)", producer: "p")
        for id in 1...8_000 { try await sender.send(payload(id)) }
        try await sender.waitUntilAcknowledged()
        await sender.close()
        try await running.drain()
        #expect(try ids(in: file) == Array(1...8_000))
    }

    @Test(arguments: Carrier.allCases)
    func `brings each event exactly once over restarts of the server`(
        _ carrier: Carrier
    ) async throws {
        let folder = try Folder()
        let file = "\(folder.path)/out.jsonl"
        let store = StateStore.directory("\(folder.path)/store", checkpointEvery: .milliseconds(20))
        let port = try ReservedPort()
        func topology() -> Topology {
            Topology("exact") {
                EventStream("in", from: carrier.source(port: port.number))
                    .sink(.transactionalJSONLines(toFile: file))
            }
        }
        var running = try await topology().start(.stored(store))
        let sender = try await AcknowledgedSender.connect(
            to: carrier.url(port.number), producer: "p", configuration: carrier.sender)
        let restarts = 4
        let part = 5_000
        let count = part * (restarts + 1)
        for restart in 0...restarts {
            for id in 1...part { try await sender.send(payload(restart * part + id)) }
            if restart == restarts { break }
            while sender.acknowledged < restart * part + part / 4 {
                if let failure = sender.failure { throw failure }
                await Task.yield()
            }
            running.cancel()
            try? await running.waitUntilFinished()
            running = try await topology().start(.stored(store))
        }
        try await sender.waitUntilAcknowledged()
        #expect(sender.counters.acknowledged == count)
        #expect(sender.counters.reconnects == restarts)
        await sender.close()
        try await running.drain()
        let ids = try ids(in: file)
        let wrong = zip(ids, 1...).first { $0 != $1 }
        #expect(wrong == nil, "\(ids.count) events")
        #expect(ids.count == count)
    }

    @Test(arguments: [Carrier.webSocket, .tcp])
    func `goes on where an earlier sender of the same name has stopped`(
        _ carrier: Carrier
    ) async throws {
        let seen = Recorder<Int>()
        let running = try await Topology("resume") {
            EventStream("in", from: carrier.source(port: 0)).map(\.id).sink(seen.sink)
        }.start(.quiet())
        let url = carrier.url(try carrier.address(running, port: 0).port)
        for round in 0..<3 {
            let sender = try await AcknowledgedSender.connect(
                to: url, producer: "p", configuration: carrier.sender)
            #expect(sender.acknowledged == UInt64(round * 10))
            for id in 0..<10 { try await sender.send(payload(round * 10 + id)) }
            try await sender.waitUntilAcknowledged()
            await sender.close()
        }
        #expect(await seen.wait(for: 30) == Array(0..<30))
        try await running.drain()
    }

    private func lines(_ client: RawClient, _ text: String, answers: Int) async throws -> [String] {
        try await client.send(text)
        let bytes = await client.receive { $0.filter { $0 == 10 }.count >= answers }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test(arguments: [true, false])
    func `drops duplicates and refuses gaps`(_ hasStore: Bool) async throws {
        let seen = Recorder<Int>()
        var configuration = RunConfiguration.quiet()
        let folder = try Folder()
        if hasStore { configuration.store = .directory(folder.path) }
        let running = try await Topology("gaps") {
            EventStream("in", from: .tcp(port: 0, as: Reading.self)).map(\.id).sink(seen.sink)
        }.start(configuration)
        let loop = try Loop.shared()
        func message(_ sequence: Int) -> String {
            "\(sequence) \(Reading(id: sequence, value: 0).json)\n"
        }
        let first = try await RawClient.connect(to: try running.tcp, on: loop)
        let welcome = try await lines(first, "WEIR-ACK/1 till\n", answers: 1)
        #expect(welcome == ["ACK 0"])
        try await first.send(message(1) + message(2) + message(2) + message(1) + message(3))
        #expect(await seen.wait(for: 3) == [1, 2, 3])
        _ = await first.receive { String(decoding: $0, as: UTF8.self).contains("ACK 3\n") }
        let second = try await RawClient.connect(to: try running.tcp, on: loop)
        let answers = try await lines(
            second, "WEIR-ACK/1 till\n" + message(3) + message(5), answers: 2)
        #expect(answers[0] == "ACK 3")
        #expect(
            answers[1] == "ERR message 5 of producer 'till' does not follow 3: 4 is missing")
        // The older connection was told why it is closed.
        let ended = String(decoding: await first.receive(), as: UTF8.self)
        #expect(ended.contains("ERR producer 'till' has connected again from 127.0.0.1:"))
        // A producer that isn't known may begin anywhere, and a plain client sends as ever.
        let third = try await RawClient.connect(to: try running.tcp, on: loop)
        _ = try await lines(third, "WEIR-ACK/1 other\n" + message(77), answers: 2)
        let plain = try await RawClient.connect(to: try running.tcp, on: loop)
        try await plain.send(Reading(id: 99, value: 1).json + "\n")
        #expect(Set(await seen.wait(for: 5)) == [1, 2, 3, 77, 99])
        for client in [first, second, third, plain] { try await client.close() }
        try await running.drain()
        #expect(seen.values.count == 5)
    }

    @Test func `counts no message whose end has not come`() async throws {
        let seen = Recorder<Int>()
        let running = try await Topology("cut") {
            EventStream("in", from: .tcp(port: 0, as: Reading.self)).map(\.id).sink(seen.sink)
        }.start(.quiet())
        let whole = Reading(id: 1, value: 1).json
        for text in ["WEIR-ACK/1 p", "WEIR-ACK/1 p\n1 {\"id\":", "WEIR-ACK/1 p\n1 \(whole)"] {
            let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
            try await client.send(text)
            try await client.endSending()
            let answer = await client.receiveText()
            #expect(answer.isEmpty || answer == "ACK 0\n")
            try await client.close()
        }
        let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        try await client.send("WEIR-ACK/1 p\n1 \(whole)\n")
        #expect(await seen.wait(for: 1) == [1])
        try await client.close()
        try await running.drain()
        #expect(seen.values == [1] && running.deadLetters.total == 0)
    }

    @Test(arguments: [
        "WEIR-ACK/1\n", "WEIR-ACK/1 \n", "WEIR-ACK/2 p\n", "WEIR-ACK/1 a b\n",
        "WEIR-ACK/1 p\nx\n", "WEIR-ACK/1 p\n1\n", "WEIR-ACK/1 p\n0 x\n", "WEIR-ACK/1 p\n01 x\n",
        "WEIR-ACK/1 p\n9007199254740992 x\n", "WEIR-ACK/1 p\n-1 x\n",
    ])
    func `answers what is malformed with an error and closes`(_ text: String) async throws {
        let running = try await Topology("malformed") {
            EventStream("in", from: .tcp(port: 0, as: Reading.self)).sink(.discard)
        }.start(.quiet())
        let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        try await client.send(text)
        let answer = await client.receiveText()
        #expect(answer.split(separator: "\n").last?.hasPrefix("ERR ") == true)
        try await client.close()
        try await running.drain()
    }

    @Test func `refuses an acknowledgement of what nobody may send`() throws {
        let most = AcknowledgingProtocol.maximumSequence
        for dialect in [AcknowledgingDialect.words, .json] {
            func answer(_ number: UInt64) throws -> AcknowledgingAnswer {
                let bytes = Array(dialect.acknowledgement(number).utf8)
                return try bytes.withUnsafeBytes { try dialect.answer($0) }
            }
            #expect(try answer(most) == .ack(most))
            for number in [most + 1, .max] {
                #expect(throws: AcknowledgingProtocolError.self) { try answer(number) }
            }
        }
        let window = SenderWindow(AcknowledgedSender.Configuration())
        #expect(window.begin(at: most, isFirst: true) == nil)
        #expect(window.take(atMost: 1).messages.isEmpty)
    }

    @Test func `speaks JSON over a WebSocket and closes with 1008 for a mistake`() async throws {
        let seen = Recorder<Int>()
        let running = try await Topology("json") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self)).map(\.id)
                .sink(seen.sink)
        }.start(.quiet())
        let texts = Recorder<String>()
        let closures = Recorder<WebSocketClosure>()
        var configuration = WebSocketClientConfiguration()
        configuration.subprotocols = ["weir.ack.v1"]
        let client = try await WebSocketClient.connect(
            to: "ws://\(try running.web)/in", configuration: configuration,
            onMessage: { bytes, _ in
                texts.append(String(decoding: bytes, as: UTF8.self))
                return .proceed
            }, onClose: { closures.append($0) })
        try await client.send(#"{"producer":"till-7"}"#)
        #expect(await texts.wait(for: 1) == [#"{"ack":0,"durable":false}"#])
        try await client.send("1 " + Reading(id: 5, value: 1).json)
        #expect(await texts.wait(for: 2)[1] == #"{"ack":1}"#)
        try await client.send(Array(("2 " + Reading(id: 6, value: 1).json).utf8))
        #expect(await seen.wait(for: 2) == [5, 6])
        try await client.send("4 {}")
        #expect(
            await texts.wait(for: 4)[3]
                == #"{"error":"message 4 of producer 'till-7' does not follow 2: 3 is missing"}"#)
        #expect(await closures.wait(for: 1)[0].code == .policyViolation)
        try await running.drain()
    }

    @Test func `keeps the query of an address out of errors, since it may be secret`() async throws
    {
        let test = try await TestServer()
        test.server.addWebSocket("/plain") { _ in .accept(Echo(Recorder(), Recorder())) }
        let error = await #expect(throws: NetworkError.self) {
            _ = try await AcknowledgedSender.connect(
                to: "ws://\(test.address)/plain?key=5ecret", producer: "p")
        }
        #expect(error?.message.contains("/plain doesn't speak weir.ack.v1") == true)
        #expect(error.map { "\($0)".contains("5ecret") } == false)
        await test.stop()
    }

    @Test func `acknowledges nothing while the disk is full, and goes on when it has room`()
        async throws
    {
        let seen = Recorder<Int>()
        let disk = SimulatedFileSystem()
        var store = StateStore.directory("/store", checkpointEvery: .zero)
        store.fileSystem = disk
        let running = try await Topology("full") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self)).map(\.id)
                .sink(seen.sink)
        }.start(.stored(store))
        let sender = try await AcknowledgedSender.connect(
            to: "ws://\(try running.web)/in", producer: "p", configuration: Carrier.webSocket.sender
        )
        try await sender.send(payload(1))
        try await sender.waitUntilAcknowledged()
        let before = disk.operationCount(.write)
        disk.fail(.write, with: .noSpace, times: .max)
        for id in 2...1_000 { try await sender.send(payload(id)) }
        while disk.operationCount(.write) < before + 3 { await Task.yield() }
        #expect(sender.acknowledged == 1)
        #expect(seen.values == [1])
        disk.clearFaults()
        try await sender.waitUntilAcknowledged()
        #expect(await seen.wait(for: 1_000) == Array(1...1_000))
        await sender.close()
        try await running.drain()
    }

    @Test func `keeps what plain clients sent over a kill of the process`() async throws {
        let disk = SimulatedFileSystem()
        var store = StateStore.directory("/store", checkpointEvery: .zero)
        store.fileSystem = disk
        func topology(_ sink: Recorder<Int>) -> Topology {
            Topology("plain") {
                EventStream("in", from: .tcp(port: 0, as: Reading.self)).map(\.id).sink(sink.sink)
            }
        }
        let before = Recorder<Int>()
        var running = try await topology(before).start(.stored(store))
        let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        for id in 1...3 { try await client.send(Reading(id: id, value: 1).json + "\n") }
        #expect(await before.wait(for: 3) == [1, 2, 3])
        try await running.checkpoint()
        try await client.send("no JSON\n" + Reading(id: 4, value: 1).json + "\n")
        #expect(await before.wait(for: 4) == [1, 2, 3, 4])
        running.cancel()
        try? await running.waitUntilFinished()
        try await client.close()
        disk.crash(seed: 7)
        let after = Recorder<Int>()
        running = try await topology(after).start(.stored(store))
        #expect(await after.wait(for: 1) == [4])
        #expect(running.deadLetters.letters.map(\.eventText) == ["no JSON"])
        try await running.drain()
        #expect(after.values == [4])
    }
}
