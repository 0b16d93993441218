import Foundation
import Testing
import WeirCore
import WeirNetwork
import WeirTestSupport

@testable import WeirMQTT

private func options(_ name: String = "", _ version: MQTTVersion = .v5) -> MQTTOptions {
    var options = MQTTOptions()
    options.version = version
    options.clientID = name
    if !name.isEmpty { options.session = .kept(for: .seconds(3_600)) }
    options.reconnection = ReconnectionPolicy(
        firstPause: .milliseconds(1), longestPause: .milliseconds(50))
    return options
}

private func publishing(
    _ broker: Broker, _ ids: Range<Int>, qos: MQTTQoS = .atLeastOnce,
    _ version: MQTTVersion = .v5
) -> Topology {
    Topology("publisher") {
        EventStream("out", from: .collection(ids.map { Reading(id: $0) }))
            .sink(
                .mqtt(broker.url, qos: qos, options: options("", version)) {
                    "plant/\($0.id % 3)/reading"
                })
    }
}

@Suite(
    .enabled(if: Broker.isThere, "there is no mosquitto: install the package of that name"),
    .timeLimit(.minutes(5)))
struct `MQTT with a broker` {
    @Test(arguments: [MQTTVersion.v3_1_1, .v5], [MQTTQoS.atMostOnce, .atLeastOnce, .exactlyOnce])
    func `brings what is published`(_ version: MQTTVersion, _ qos: MQTTQoS) async throws {
        let broker = try await Broker()
        try await broker.start()
        let seen = Recorder<Reading>()
        let source = Topology("subscriber") {
            EventStream<Reading>(
                "in",
                from: .mqtt(
                    broker.url, subscribe: [MQTTSubscription("plant/+/reading", qos: qos)],
                    options: options("", version))
            ).sink(seen.sink)
        }
        let running = try await source.start(.quiet())
        await broker.waitForLog("Sending SUBACK")
        try await publishing(broker, 0..<1_000, qos: qos, version).start(.quiet())
            .waitUntilFinished()
        #expect(await seen.wait(for: 1_000).map(\.id) == Array(0..<1_000))
        try await running.drain()
        await broker.waitForLog("Received DISCONNECT", times: 2)
    }

    @Test func `tells topic and properties, and passes over what is no event`() async throws {
        let broker = try await Broker()
        try await broker.start()
        let seen = Recorder<MQTTMessage>()
        let letters = Recorder<DeadLetter>()
        let decoder = MQTTDecoder<MQTTMessage> { message in
            if message.payload == Array("bad".utf8) { throw MQTTError("a bad one") }
            return message
        }
        let topology = Topology("messages") {
            EventStream("in", from: .mqtt(broker.url, subscribe: ["a/#"], decoder: decoder))
                .sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        running.deadLetters.onLetter { letters.append($0) }
        await broker.waitForLog("Sending SUBACK")
        try await broker.publish("-V", "5", "-q", "1", "-t", "a/bad", "-m", "bad")
        try await broker.publish(
            "-V", "5", "-q", "2", "-t", "a/b", "-m", "text", "-D", "PUBLISH", "user-property", "k",
            "v", "-D", "PUBLISH", "content-type", "text/plain", "-D", "PUBLISH", "response-topic",
            "r")
        let message = await seen.wait(for: 1)[0]
        #expect(message.topic == "a/b")
        #expect(message.payload == Array("text".utf8))
        // Subscribed to with QoS 1.
        #expect(message.qos == .atLeastOnce)
        #expect(message.contentType == "text/plain")
        #expect(message.responseTopic == "r")
        #expect(message.properties == [.init(name: "k", value: "v")])
        let letter = await letters.wait(for: 1)[0]
        #expect(letter.reason == "a bad one")
        #expect(letter.origin == "\(broker.url) a/bad")
        // A dead letter is acknowledged: nobody is helped by its coming again.
        await broker.waitForLog("Received PUBACK", times: 2)
        try await running.drain()
    }

    @Test(arguments: [MQTTQoS.atLeastOnce, .exactlyOnce])
    func `misses nothing when the broker is killed`(_ qos: MQTTQoS) async throws {
        let broker = try await Broker(settings: [
            "allow_anonymous true", "autosave_interval 1", "autosave_on_changes true",
        ])
        try await broker.start()
        let seen = Recorder<Int>()
        var options = options("plant-7")
        options.inFlightMax = 20
        let topology = Topology("killed") { [options] in
            EventStream<Reading>(
                "in",
                from: .mqtt(
                    broker.url, subscribe: [MQTTSubscription("plant/#", qos: qos)],
                    options: options)
            ).mailbox(.bounded(8)).map(\.id).sink(seen.sink)
        }
        let running = try await topology.start(.quiet(batchSize: 4))
        await broker.waitForLog("Sending SUBACK")
        let stage = try #require(running.stage("in"))
        stage.pause()
        try await publishing(broker, 0..<200, qos: qos).start(.quiet()).waitUntilFinished()
        // It writes what has changed before it serves the next.
        for _ in 0..<2 { try await broker.publish("-q", "1", "-t", "other", "-m", "text") }
        // Only what the mailbox has, and the batches before and behind it.
        let step = qos == .exactlyOnce ? "PUBREC" : "PUBACK"
        let acknowledged = broker.log.values.count { $0.contains("Received \(step) from plant-7") }
        #expect(acknowledged > 0 && acknowledged <= 8 + 3 * 4)
        await broker.crash()
        let forgotten = Self.receivedAfterLastSave(broker)
        try await broker.start()
        stage.resume()
        _ = await seen.wait { Set($0).count == 200 }
        try await publishing(broker, 200..<300, qos: qos).start(.quiet()).waitUntilFinished()
        let all = await seen.wait { Set($0).count == 300 }
        #expect(Set(all) == Set(0..<300))
        if qos == .exactlyOnce {
            let twice = Dictionary(grouping: all) { $0 }.filter { $1.count > 1 }.keys
            #expect(forgotten.isSuperset(of: twice))
        }
        try await running.drain()
    }

    /// The messages, numbered by the broker from 1 on, whose receipt it did not keep: to a client they
    /// are others when they come again.
    private static func receivedAfterLastSave(_ broker: Broker) -> Set<Int> {
        let lines = broker.log.values
        // Behind the last line it may have been killed before all was written.
        let last =
            lines.dropLast().lastIndex { $0.contains("Saving in-memory database") }
            ?? lines.startIndex
        return Set(
            lines[last...].compactMap { line in
                line.firstMatch(of: /Received PUBREC from plant-7 \(Mid: ([0-9]+)\)/)
                    .flatMap { Int($0.1) }.map { $0 - 1 }
            })
    }

    @Test func `publishes again what a killed broker has not acknowledged`() async throws {
        let broker = try await Broker()
        try await broker.start()
        let (events, input) = AsyncStream.makeStream(of: Reading.self)
        let topology = Topology("publisher") {
            EventStream("out", from: .sequence(events))
                .sink(.mqtt(broker.url, options: options()) { _ in "kept" })
        }
        let running = try await topology.start(.quiet())
        input.yield(Reading(id: 1))
        await broker.waitForLog("Sending PUBACK")
        await broker.crash()
        input.yield(Reading(id: 2))
        try await broker.start()
        await broker.waitForLog("Sending PUBACK", times: 2)
        input.finish()
        try await running.waitUntilFinished()
    }

    @Test func `can be cancelled while the broker is silent`() async throws {
        let broker = try await Broker()
        try await broker.start()
        let (events, input) = AsyncStream.makeStream(of: Reading.self)
        let topology = Topology("publisher") {
            EventStream("out", from: .sequence(events))
                .sink(.mqtt(broker.url, options: options()) { _ in "silent" })
        }
        let running = try await topology.start(.quiet())
        input.yield(Reading(id: 1))
        await broker.waitForLog("Sending PUBACK")
        broker.signal(SIGSTOP)
        input.yield(Reading(id: 2))
        // Until the sink has the event and waits.
        while running.status().stages.allSatisfy({ $0.activity != "writing" }) {
            await Task.yield()
        }
        running.cancel()
        try? await running.waitUntilFinished()
        await broker.crash()
    }

    @Test func `acknowledges only what is durable in a run with a store`() async throws {
        let broker = try await Broker()
        try await broker.start()
        let folder = try Folder()
        let store = StateStore.directory("\(folder.path)/store", checkpointEvery: .milliseconds(20))
        let file = "\(folder.path)/out.jsonl"
        func topology(_ seen: Recorder<Int>) -> Topology {
            Topology("durable") {
                EventStream<Reading>(
                    "in",
                    from: .mqtt(
                        broker.url, subscribe: [MQTTSubscription("plant/#", qos: .exactlyOnce)],
                        options: options("durable"))
                ).map { reading in
                    seen.append(reading.id)
                    return reading
                }.sink(.transactionalJSONLines(toFile: file))
            }
        }
        let first = Recorder<Int>()
        var running = try await topology(first).start(.quiet(store: store))
        await broker.waitForLog("Sending SUBACK")
        let sending = try await publishing(broker, 0..<3_000).start(.quiet())
        _ = await first.wait(for: 500)
        // As hard as a run can end within its process.
        running.cancel()
        try? await running.waitUntilFinished()
        try await sending.waitUntilFinished()
        let second = Recorder<Int>()
        running = try await topology(second).start(.quiet(store: store))
        await second.wait { Set($0).union(first.values).count == 3_000 }
        try await running.drain()
        let ids = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
            try JSONDecoder().decode(Reading.self, from: Data($0.utf8)).id
        }
        #expect(Set(ids) == Set(0..<3_000))
    }

    @Test(arguments: [false, true])
    func `gives payload and topic of what is no event to the dead letters`(
        hasStore: Bool
    ) async throws {
        let broker = try await Broker()
        try await broker.start()
        let folder = try Folder()
        let letters = Recorder<DeadLetter>()
        let topology = Topology("letters") {
            EventStream<Reading>(
                "in", from: .mqtt(broker.url, subscribe: ["a/#"], options: options("letters"))
            ).sink(.discard)
        }
        let running = try await topology.start(
            .quiet(store: hasStore ? .directory("\(folder.path)/store") : nil))
        running.deadLetters.onLetter { letters.append($0) }
        await broker.waitForLog("Sending SUBACK")
        try await broker.publish("-q", "1", "-t", "a/bad", "-m", "no JSON")
        let letter = await letters.wait(for: 1)[0]
        #expect(letter.event as? [UInt8] == Array("no JSON".utf8))
        #expect(letter.origin == "\(broker.url) a/bad")
        #expect(letter.reason.contains("invalid syntax"))
        try await running.drain()
    }

    @Test(arguments: [MQTTQoS.atMostOnce, .atLeastOnce, .exactlyOnce], [false, true])
    func `gives up a message above the limit that the broker sends all the same`(
        _ qos: MQTTQoS, hasStore: Bool
    ) async throws {
        let broker = try await Broker()
        try await broker.start()
        let folder = try Folder()
        // MQTT 3.1.1 can't tell the broker of the limit.
        var options = options("large", .v3_1_1)
        options.maximumPacketLength = 10_000
        let seen = Recorder<Int>()
        let letters = Recorder<DeadLetter>()
        let topology = Topology("large") { [options] in
            EventStream<Reading>(
                "in",
                from: .mqtt(
                    broker.url, subscribe: [MQTTSubscription("a/#", qos: qos)], options: options)
            ).map(\.id).sink(seen.sink)
        }
        let running = try await topology.start(
            .quiet(store: hasStore ? .directory("\(folder.path)/store") : nil))
        running.deadLetters.onLetter { letters.append($0) }
        await broker.waitForLog("Sending SUBACK")
        let large = folder("large")
        try String(repeating: "x", count: 50_000)
            .write(toFile: large, atomically: true, encoding: .utf8)
        let level = "\(qos.rawValue)"
        try await broker.publish("-q", level, "-t", "a/large", "-f", large)
        try await broker.publish("-q", level, "-t", "a/b", "-m", #"{"id":7,"value":1}"#)
        #expect(await seen.wait(for: 1) == [7])
        let letter = await letters.wait(for: 1)[0]
        #expect(letter.reason.contains("more than the 10000 of maximumPacketLength"))
        #expect(letter.origin == "\(broker.url) a/large")
        let payload = try #require(letter.event as? [UInt8])
        #expect(payload.count < 10_000 && payload.allSatisfy { $0 == UInt8(ascii: "x") })
        #expect(broker.log.values.count { $0.contains("Sending CONNACK to large") } == 1)
        if qos == .exactlyOnce { await broker.waitForLog("Received PUBCOMP from large", times: 2) }
        if qos == .atLeastOnce { await broker.waitForLog("Received PUBACK from large", times: 2) }
        try await running.drain()
    }

    @Test func `says why it is refused`() async throws {
        let broker = try await Broker.refusing()
        for version in [MQTTVersion.v3_1_1, .v5] {
            let topology = Topology("refused") {
                EventStream("out", from: .collection([Reading(id: 1)]))
                    .sink(.mqtt(broker.url, options: options("", version)) { _ in "t" })
            }
            let error = try #require(
                await #expect(throws: MQTTError.self) { _ = try await topology.start(.quiet()) })
            #expect(error.message == "the broker has refused the connection: not authorized")
        }
        let topology = Topology("given up") {
            EventStream<Reading>("in", from: .mqtt(broker.url, subscribe: ["a"])).sink(.discard)
        }
        let running = try await topology.start(.quiet())
        await #expect(throws: (any Error).self) { try await running.waitUntilFinished() }
    }

    @Test func `tells how its connections stand`() async throws {
        let broker = try await Broker(settings: [
            "allow_anonymous true", "autosave_interval 1", "autosave_on_changes true",
        ])
        try await broker.start()
        let seen = Recorder<Reading>()
        let (events, input) = AsyncStream.makeStream(of: Reading.self)
        let topology = Topology("status") {
            EventStream<Reading>(
                "in", from: .mqtt(broker.url, subscribe: ["a"], options: options("status"))
            ).sink(seen.sink)
            EventStream("events", from: .sequence(events))
                .sink(.mqtt(broker.url, options: options()) { _ in "a" }.named("out"))
        }
        let running = try await topology.start(.quiet())
        await broker.waitForLog("Sending SUBACK")
        func status(_ stage: String) -> ConnectionStatus? {
            running.status().connections.first { $0.stage == stage }
        }
        input.yield(Reading(id: 1))
        _ = await seen.wait(for: 1)
        for stage in ["in", "out"] {
            let status = try #require(status(stage))
            #expect(status.isConnected && status.connections == 1 && status.failures == 0)
            #expect(status.kind == "mqtt" && status.address == broker.url)
        }
        await broker.crash()
        while status("in")?.isConnected ?? true { await Task.yield() }
        #expect(try #require(status("in")).lastError != nil)
        try await broker.start()
        while status("in")?.connections != 2 { await Task.yield() }
        input.yield(Reading(id: 2))
        _ = await seen.wait(until: { $0.contains { $0.id == 2 } })
        #expect(try #require(status("out")).connections == 2)
        input.finish()
        try await running.drain()
    }

    @Test func `counts what the broker refuses`() async throws {
        let broker = try await Broker.refusing()
        let topology = Topology("refused") {
            EventStream<Reading>("in", from: .mqtt(broker.url, subscribe: ["a"]))
                .supervised(Supervisor(.oneForOne, intensity: 1_000, within: .seconds(60)))
                .sink(.discard)
        }
        let running = try await topology.start(.quiet())
        while running.status().connections.first?.refused ?? 0 == 0 { await Task.yield() }
        let status = try #require(running.status().connections.first)
        #expect(!status.isConnected && status.failures >= status.refused)
        #expect(status.lastError?.contains("not authorized") ?? false)
        running.cancel()
        try? await running.waitUntilFinished()
    }

    @Test func `keeps a quiet connection alive`() async throws {
        let broker = try await Broker()
        try await broker.start()
        var options = options()
        options.keepAlive = .seconds(2)
        let topology = Topology("quiet") { [options] in
            EventStream<Reading>("in", from: .mqtt(broker.url, subscribe: ["a"], options: options))
                .sink(.discard)
        }
        let running = try await topology.start(.quiet())
        await broker.waitForLog("Sending PINGRESP", times: 2)
        #expect(broker.log.values.count { $0.contains("Sending CONNACK") } == 1)
        try await running.drain()
    }

    @Test func `gives up events whose topic is none`() async throws {
        let broker = try await Broker()
        try await broker.start()
        let letters = Recorder<DeadLetter>()
        let (events, input) = AsyncStream.makeStream(of: Reading.self)
        let topology = Topology("topics") {
            EventStream("out", from: .sequence(events))
                .sink(.mqtt(broker.url, options: options()) { $0.id == 1 ? "a/#" : "a" })
        }
        let running = try await topology.start(.quiet())
        running.deadLetters.onLetter { letters.append($0) }
        input.yield(Reading(id: 1))
        input.yield(Reading(id: 2))
        input.finish()
        try await running.waitUntilFinished()
        #expect(await letters.wait(for: 1)[0].reason.contains("is no name of a topic"))
        await broker.waitForLog("Sending PUBACK")
    }

    @Test func `speaks TLS`() async throws {
        let broker = try await Broker(settings: [
            "allow_anonymous true", "certfile FOLDER/cert.pem", "keyfile FOLDER/key.pem",
        ])
        let folder = broker.folder.path
        let process = try ChildProcess(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-days", "3", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "\(folder)/key.pem", "-out",
                "\(folder)/cert.pem", "-subj", "/CN=localhost", "-addext",
                "subjectAltName=IP:127.0.0.1",
            ])
        #expect(await process.waitForEnd().status == 0)
        try await broker.start()
        var secure = options()
        secure.tls.authorities = .file("\(folder)/cert.pem")
        let url = "mqtts://127.0.0.1:\(broker.port)"
        let seen = Recorder<Reading>()
        let topology = Topology("secure") { [secure] in
            EventStream<Reading>("in", from: .mqtt(url, subscribe: ["a"], options: secure))
                .sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        await broker.waitForLog("Sending SUBACK")
        let sending = Topology("sender") { [secure] in
            EventStream("out", from: .collection([Reading(id: 7)]))
                .sink(.mqtt(url, options: secure) { _ in "a" })
        }
        try await sending.start(.quiet()).waitUntilFinished()
        #expect(await seen.wait(for: 1).map(\.id) == [7])
        try await running.drain()
    }

    @Test func `refuses wrong options before anything starts`() async throws {
        let filter = Topology("filter") {
            EventStream<Reading>("in", from: .mqtt("mqtt://127.0.0.1", subscribe: ["a#"]))
                .sink(.discard)
        }
        let error = try #require(
            await #expect(throws: MQTTError.self) { _ = try await filter.start(.quiet()) })
        #expect(error.message.contains("'a#' is no filter"))
    }
}
