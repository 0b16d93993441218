import Synchronization
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

/// What an event of a numbered test says: the seed it belongs to, and its number there.
private func payload(_ seed: Int, _ number: Int) -> [UInt8] {
    Array(Reading(id: seed * 1_000 + number, value: 1).json.utf8)
}

/// Counts what comes and says when it is all there.
private func numbers(_ ids: [Int], of seed: Int) -> [Int] {
    ids.filter { $0 / 1_000 == seed }.map { $0 % 1_000 }
}

@Suite(.timeLimit(.minutes(10)), .serialized) struct `Numbered messages over a faulty network` {
    private static let seeds = 1...50
    private static let count = 200

    /// Sends all events of a seed through a proxy that resets connections again and again.
    private static func send(_ seed: Int, to port: Int, _ carrier: Carrier) async throws -> Int {
        let proxy = try FaultyProxy(to: port, seed: UInt64(seed))
        defer { proxy.stop() }
        var configuration = carrier.sender
        configuration.windowMessages = 40
        let sender = try await AcknowledgedSender.connect(
            to: carrier.url(proxy.port), producer: "p\(seed)", configuration: configuration)
        proxy.set([.toServer]) { faults in
            faults.slices = 1...700
            faults.resetAfter = 1...5_000
        }
        proxy.set([.toClient]) { faults in
            faults.slices = 1...90
            faults.resetAfter = 1...1_500
        }
        // The first connection was made before there were faults.
        proxy.resetAll()
        for number in 1...count { try await sender.send(payload(seed, number)) }
        try await sender.waitUntilAcknowledged()
        #expect(sender.counters.acknowledged == count)
        await sender.close()
        return proxy.counters.resets
    }

    @Test(arguments: Carrier.allCases)
    func `count once each when connections are reset at random moments`(
        _ carrier: Carrier
    ) async throws {
        let folder = try Folder()
        let seen = Recorder<Int>()
        let running = try await Topology("resets") {
            EventStream("in", from: carrier.source(port: 0)).map(\.id).sink(seen.sink)
        }.start(.stored(.directory(folder.path, checkpointEvery: .zero)))
        let port = try carrier.address(running, port: 0).port
        var resets = 0
        for start in stride(from: Self.seeds.lowerBound, to: Self.seeds.upperBound, by: 10) {
            resets += try await withThrowingTaskGroup(of: Int.self) { group in
                for seed in start..<(start + 10) {
                    group.addTask { try await Self.send(seed, to: port, carrier) }
                }
                return try await group.reduce(0, +)
            }
        }
        #expect(resets >= 2 * Self.seeds.count)
        // The service goes on: a plain connection of its own is served.
        let last = try await AcknowledgedSender.connect(
            to: carrier.url(port), producer: "last", configuration: carrier.sender)
        try await last.send(payload(0, 1))
        try await last.waitUntilAcknowledged()
        await last.close()
        try await running.drain()
        let ids = seen.values
        for seed in Self.seeds {
            #expect(numbers(ids, of: seed) == Array(1...Self.count), "seed \(seed)")
        }
        #expect(ids.count == Self.seeds.count * Self.count + 1)
        #expect(running.deadLetters.total == 0)
    }

    @Test(arguments: [Carrier.webSocket, .tcp])
    func `go on over a new connection when the network swallows the old one`(
        _ carrier: Carrier
    ) async throws {
        let seen = Recorder<Int>()
        let running = try await Topology("hole") {
            EventStream("in", from: carrier.source(port: 0)).map(\.id).sink(seen.sink)
        }.start(.quiet())
        let proxy = try FaultyProxy(to: try carrier.address(running, port: 0).port)
        var configuration = carrier.sender
        // Longer than an answer takes where all processors are busy.
        configuration.answerTimeout = .seconds(2)
        configuration.connectTimeout = .seconds(2)
        let sender = try await AcknowledgedSender.connect(
            to: carrier.url(proxy.port), producer: "p", configuration: configuration)
        try await sender.send(payload(0, 1))
        try await sender.waitUntilAcknowledged()
        proxy.set { $0.isBlackHole = true }
        try await sender.send(payload(0, 2))
        while proxy.counters.connections < 2 { await Task.yield() }
        proxy.heal()
        try await sender.waitUntilAcknowledged()
        #expect(sender.counters.reconnects > 0)
        await sender.close()
        try await running.drain()
        #expect(seen.values == [1, 2])
        proxy.stop()
    }
}

@Suite(.timeLimit(.minutes(10)), .serialized) struct `POST requests over a faulty network` {
    /// The statuses of the answers that have come whole.
    private static func statuses(_ text: String) -> [Int] {
        text.split(separator: "HTTP/1.1 ").compactMap { part in
            guard part.contains("\r\n\r\n"), part.hasSuffix("}") else { return nil }
            return Int(part.prefix(3))
        }
    }

    /// Posts each event again until it is answered; returns how often.
    private static func post(
        _ seed: Int, _ count: Int, to port: Int, withKeys: Bool
    ) async throws -> Int {
        let proxy = try FaultyProxy(to: port, seed: UInt64(seed))
        defer { proxy.stop() }
        proxy.set([.toServer]) { faults in
            faults.slices = 1...60
            faults.resetAfter = 1...600
        }
        proxy.set([.toClient]) { $0.resetAfter = 1...500 }
        let address = try #require(SocketAddress(ip: "127.0.0.1", port: proxy.port))
        var attempts = 0
        for number in 1...count {
            var isAnswered = false
            while !isAnswered {
                attempts += 1
                let body = Reading(id: seed * 1_000 + number, value: 1).json
                var text = PostClient.last(body)
                if withKeys {
                    text = text.replacing(
                        "Host: h\r\n",
                        with: "Host: h\r\nIdempotency-Key: \"\(seed)-\(number)\"\r\n")
                }
                guard let client = try? await PostClient(address),
                    (try? await client.client.send(text)) != nil
                else { continue }
                let statuses = Self.statuses(await client.client.receiveText())
                try? await client.client.close()
                // The first request with the key may not be done when the next one comes.
                #expect(statuses.allSatisfy { [202, 409].contains($0) }, "\(statuses)")
                isAnswered = statuses == [202]
            }
        }
        return attempts
    }

    @Test(arguments: [false, true])
    func `are there when they were answered, and with a key only once`(
        _ withKeys: Bool
    ) async throws {
        let folder = try Folder()
        let seen = Recorder<Int>()
        let running = try await Topology("post") {
            EventStream("in", from: .http("/in", port: 0, as: Reading.self)).map(\.id)
                .sink(seen.sink)
        }.start(.stored(.directory(folder.path, checkpointEvery: .zero)))
        let port = try running.web.port
        let seeds = 1...50
        let count = 10
        var attempts = 0
        for start in stride(from: 1, to: seeds.upperBound, by: 10) {
            attempts += try await withThrowingTaskGroup(of: Int.self) { group in
                for seed in start..<(start + 10) {
                    group.addTask {
                        try await Self.post(seed, count, to: port, withKeys: withKeys)
                    }
                }
                return try await group.reduce(0, +)
            }
        }
        #expect(attempts > seeds.count * count)
        try await running.drain()
        let ids = seen.values
        let expected = seeds.flatMap { seed in (1...count).map { seed * 1_000 + $0 } }
        #expect(Set(ids) == Set(expected))
        if withKeys {
            #expect(ids.count == expected.count)
        } else {
            #expect(ids.count <= attempts)
        }
    }
}
