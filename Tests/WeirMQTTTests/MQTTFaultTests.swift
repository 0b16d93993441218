import Testing
import WeirCore
import WeirNetwork
import WeirTestSupport

@testable import WeirMQTT

@Suite(
    .enabled(if: Broker.isThere, "there is no mosquitto: install the package of that name"),
    .timeLimit(.minutes(5)))
struct `MQTT over a faulty network` {
    private func options(_ name: String = "") -> MQTTOptions {
        var options = MQTTOptions()
        options.clientID = name
        if !name.isEmpty { options.session = .kept(for: .seconds(3_600)) }
        options.connectTimeout = .seconds(2)
        options.reconnection = ReconnectionPolicy(
            firstPause: .milliseconds(1), longestPause: .milliseconds(20))
        return options
    }

    private func subscriber(
        _ proxy: FaultyProxy, qos: MQTTQoS, _ options: MQTTOptions, _ seen: Recorder<Int>
    ) -> Topology {
        Topology("subscriber") {
            EventStream<Reading>(
                "in",
                from: .mqtt(
                    "mqtt://127.0.0.1:\(proxy.port)",
                    subscribe: [MQTTSubscription("plant/#", qos: qos)], options: options)
            ).map(\.id).sink(seen.sink)
        }
    }

    private func publisher(_ port: Int, _ ids: Range<Int>, qos: MQTTQoS) -> Topology {
        Topology("publisher") {
            EventStream("out", from: .collection(ids.map { Reading(id: $0) }))
                .sink(
                    .mqtt("mqtt://127.0.0.1:\(port)", qos: qos, options: options()) {
                        "plant/\($0.id % 3)"
                    })
        }
    }

    /// What has come more than once.
    private static func twice(_ ids: [Int]) -> Set<Int> {
        Set(Dictionary(grouping: ids) { $0 }.filter { $0.value.count > 1 }.keys)
    }

    /// Events that the broker has published once more although it had their PUBREC.
    ///
    /// mosquitto 2.0 does so when a connection is lost twice before it has sent PUBREL again; to a
    /// client it looks like another message. It numbers the messages in their order, from 1.
    private static func unreleased(_ broker: Broker) -> Set<Int> {
        var received: Set<Int> = []
        var result: Set<Int> = []
        for line in broker.log.values {
            if let match = line.firstMatch(of: /Received PUBREC from plant-7 \(Mid: ([0-9]+)\)/) {
                received.insert(Int(match.1) ?? 0)
            } else if let match = line.firstMatch(
                of: /Sending PUBLISH to plant-7 \(d1, q2, r0, m([0-9]+),/),
                let number = Int(match.1), received.contains(number)
            {
                result.insert(number - 1)
            }
        }
        return result
    }

    @Test(arguments: [MQTTQoS.atLeastOnce, .exactlyOnce])
    func `a source misses nothing when its connection is reset at random moments`(
        _ qos: MQTTQoS
    ) async throws {
        let broker = try await Broker()
        try await broker.start()
        let proxy = try FaultyProxy(to: broker.port, seed: 17)
        defer { proxy.stop() }
        let seen = Recorder<Int>()
        let running = try await subscriber(proxy, qos: qos, options("plant-7"), seen)
            .start(.quiet())
        await broker.waitForLog("Sending SUBACK")
        proxy.set([.toClient]) { faults in
            faults.slices = 1...300
            faults.resetAfter = 500...12_000
        }
        proxy.set([.toServer]) { $0.resetAfter = 100...4_000 }
        proxy.resetAll()
        let count = 500
        try await publisher(broker.port, 0..<count, qos: qos).start(.quiet()).waitUntilFinished()
        let ids = await seen.wait { Set($0).count == count }
        if qos == .exactlyOnce { #expect(Self.twice(ids).isSubset(of: Self.unreleased(broker))) }
        #expect(proxy.counters.resets > 1)
        proxy.heal()
        proxy.resetAll()
        try await publisher(broker.port, count..<(count + 10), qos: qos).start(.quiet())
            .waitUntilFinished()
        let all = await seen.wait { Set($0).count == count + 10 }
        if qos == .exactlyOnce { #expect(Self.twice(all).isSubset(of: Self.unreleased(broker))) }
        try await running.drain()
    }

    @Test func `a source with QoS 2 still knows what it has taken when it is restarted`()
        async throws
    {
        let broker = try await Broker()
        try await broker.start()
        let proxy = try FaultyProxy(to: broker.port)
        defer { proxy.stop() }
        var options = options("plant-7")
        // A lost connection is its supervisor's business at once.
        options.reconnection.attempts = 1
        let seen = Recorder<Int>()
        let running = try await subscriber(proxy, qos: .exactlyOnce, options, seen)
            .start(.quiet())
        await broker.waitForLog("Sending SUBACK")
        proxy.set([.toServer]) { $0.isBlackHole = true }
        try await publisher(broker.port, 0..<1, qos: .exactlyOnce).start(.quiet())
            .waitUntilFinished()
        await seen.wait(for: 1)
        // The broker has got no PUBREC, and sends the message again.
        proxy.resetAll()
        proxy.heal()
        try await publisher(broker.port, 1..<2, qos: .exactlyOnce).start(.quiet())
            .waitUntilFinished()
        #expect(await seen.wait { $0.contains(1) } == [0, 1])
        try await running.drain()
    }

    @Test func `a sink gives up once what has no topic, however often its batch is published`()
        async throws
    {
        let broker = try await Broker()
        try await broker.start()
        let proxy = try FaultyProxy(to: broker.port)
        defer { proxy.stop() }
        // Enough for CONNECT, too little for the message behind it.
        proxy.set([.toServer]) { $0.resetAfter = 60...60 }
        var options = options()
        options.reconnection.attempts = 1
        let supervisor = Supervisor(
            .oneForOne, intensity: 1_000_000, within: .seconds(60), backoff: .none)
        let running = try await Topology("sink", supervisor: supervisor) { [options] in
            EventStream("out", from: .collection([Reading(id: 1), Reading(id: 2)]))
                .sink(
                    .mqtt("mqtt://127.0.0.1:\(proxy.port)", options: options) {
                        $0.id == 1 ? "plant/#" : "plant/long/enough"
                    })
        }.start(.quiet())
        while proxy.counters.resets < 3 { await Task.yield() }
        proxy.heal()
        try await running.waitUntilFinished()
        #expect(running.deadLetters.total == 1)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a sink brings messages to their end that are larger than what may wait to be written`()
        async throws
    {
        let broker = try await Broker()
        try await broker.start()
        let proxy = try FaultyProxy(to: broker.port)
        defer { proxy.stop() }
        // So that much of a message waits here while the one before is acknowledged.
        proxy.set([.toServer]) { $0.bytesPerSecond = 32 << 20 }
        let payload = [UInt8](repeating: 7, count: 24 << 20)
        let topology = Topology("large") {
            EventStream("out", from: .collection(Array(repeating: payload, count: 3)))
                .sink(
                    .mqtt(
                        "mqtt://127.0.0.1:\(proxy.port)", qos: .exactlyOnce, options: options(),
                        encoder: .bytes
                    ) { _ in "large" })
        }
        try await topology.start(.quiet()).waitUntilFinished()
        await broker.waitForLog("Sending PUBCOMP", times: 3)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a sink does not take a broker for dead that is taking a large message`() async throws {
        let broker = try await Broker()
        try await broker.start()
        let proxy = try FaultyProxy(to: broker.port)
        defer { proxy.stop() }
        proxy.set([.toServer]) { $0.bytesPerSecond = 8 << 20 }
        var options = options()
        options.keepAlive = .seconds(2)
        let payload = [UInt8](repeating: 7, count: 64 << 20)
        let topology = Topology("large") { [options] in
            EventStream("out", from: .collection([payload]))
                .sink(
                    .mqtt(
                        "mqtt://127.0.0.1:\(proxy.port)", options: options, encoder: .bytes
                    ) { _ in "large" })
        }
        try await topology.start(.quiet()).waitUntilFinished()
        #expect(proxy.counters.connections == 1)
    }

    @Test func `a sink publishes all when its connection is reset at random moments`()
        async throws
    {
        let broker = try await Broker()
        try await broker.start()
        let direct = try FaultyProxy(to: broker.port)
        let faulty = try FaultyProxy(to: broker.port, seed: 19)
        defer {
            direct.stop()
            faulty.stop()
        }
        let seen = Recorder<Int>()
        let running = try await subscriber(direct, qos: .atLeastOnce, options(), seen)
            .start(.quiet())
        await broker.waitForLog("Sending SUBACK")
        faulty.set([.toServer]) { faults in
            faults.slices = 1...400
            faults.resetAfter = 100...4_000
        }
        let count = 500
        try await publisher(faulty.port, 0..<count, qos: .atLeastOnce).start(.quiet())
            .waitUntilFinished()
        _ = await seen.wait { Set($0) == Set(0..<count) }
        #expect(faulty.counters.resets > 0)
        try await running.drain()
    }

    @Test func `a source takes a broker for dead that the network has swallowed`() async throws {
        let broker = try await Broker()
        try await broker.start()
        let proxy = try FaultyProxy(to: broker.port)
        defer { proxy.stop() }
        var options = options("plant-8")
        options.keepAlive = .seconds(1)
        options.connectTimeout = .seconds(2)
        let seen = Recorder<Int>()
        let running = try await subscriber(proxy, qos: .atLeastOnce, options, seen)
            .start(.quiet())
        await broker.waitForLog("Sending SUBACK")
        proxy.set { $0.isBlackHole = true }
        while proxy.counters.connections < 2 { await Task.yield() }
        proxy.heal()
        try await publisher(broker.port, 0..<20, qos: .atLeastOnce).start(.quiet())
            .waitUntilFinished()
        _ = await seen.wait { Set($0) == Set(0..<20) }
        try await running.drain()
    }
}
