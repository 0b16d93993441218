import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

/// Writes a reading's JSON; one of the number 0 can't be written.
private let picky = EventEncoder<Reading>(isText: true) { reading, bytes in
    if reading.id == 0 { throw EventDecodingError(description: "it is 0") }
    bytes += Array(reading.json.utf8) + [UInt8](repeating: 0x20, count: Int(reading.value))
}

@Suite(.timeLimit(.minutes(5))) struct `TCP sources and sinks` {
    @Test func `take lines and pass over what is no event`() async throws {
        let seen = Recorder<Reading>()
        let topology = Topology("lines") {
            EventStream("in", from: .tcp(port: 0, as: Reading.self)).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let letters = running.recordDeadLetters()
        let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        let text = [Reading(id: 1, value: 1), Reading(id: 2, value: 2)].map(\.json)
        // In pieces that end within an event.
        try await client.send(text[0] + "\r\nnot JSON\n" + text[1].prefix(5))
        #expect(await letters.wait(for: 1)[0].eventText == "not JSON")
        #expect(letters.values[0].origin?.hasPrefix("127.0.0.1:") == true)
        try await client.send(text[1].dropFirst(5) + "\n")
        #expect(await seen.wait(for: 2).map(\.id) == [1, 2])
        try await running.drain()
        _ = await client.receive()
    }

    @Test func `take messages behind their lengths`() async throws {
        let seen = Recorder<Reading>()
        let topology = Topology("lengths") {
            EventStream("in", from: .tcp(port: 0, framing: .lengthPrefixed(), as: Reading.self))
                .sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        var bytes: [UInt8] = []
        for id in 0..<3 {
            let message = Array(Reading(id: id, value: 1).json.utf8)
            bytes += [0, 0, 0, UInt8(message.count)] + message
        }
        try await client.send(bytes)
        #expect(await seen.wait(for: 3).map(\.id) == [0, 1, 2])
        // A length beyond the limit ends this connection alone.
        try await client.send([0xFF, 0xFF, 0xFF, 0xFF])
        _ = await client.receive()
        let other = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        try await other.send(bytes)
        #expect(await seen.wait(for: 6).count == 6)
        try await running.drain()
    }

    @Test func `connect again when the server went away`() async throws {
        let server = try await LineServer()
        let (events, input) = AsyncStream.makeStream(of: Reading.self)
        let port = server.port
        let topology = Topology("client") {
            EventStream("readings", from: .sequence(events))
                .sink(.tcp(host: "127.0.0.1", port: port))
        }
        let running = try await topology.start(.quiet())
        input.yield(Reading(id: 1, value: 1))
        #expect(await server.lines.wait(for: 1) == [#"{"id":1,"value":1}"#])
        try await server.closeConnections()
        // The other side has ended the connection too, so the next write fails and comes again.
        _ = await server.closures.wait(for: 1)
        input.yield(Reading(id: 2, value: 2))
        #expect(await server.lines.wait(for: 2)[1] == #"{"id":2,"value":2}"#)
        input.finish()
        try await running.waitUntilFinished()
        try await server.stop()
    }

    @Test func `give up once what can't be encoded, however often its batch is written`()
        async throws
    {
        let receiver = Topology("receiver") {
            EventStream<Reading>(
                "in", from: .tcp(port: 0, framing: .lines(maximumLength: 64 << 20))
            ).sink(.discard)
        }
        let receiving = try await receiver.start(.quiet())
        let proxy = try FaultyProxy(to: try receiving.tcp.port)
        defer { proxy.stop() }
        proxy.set([.toServer]) { $0.resetAfter = 1_000...1_000 }
        let supervisor = Supervisor(
            .oneForOne, intensity: 1_000_000, within: .seconds(60), backoff: .none)
        let sender = Topology("sender", supervisor: supervisor) {
            EventStream(
                "out",
                from: Source<Reading>("readings") { inlet in
                    // The first is larger than what the kernel takes, so that the second waits.
                    for batch in [
                        [(1, 32 << 20), (2, 0)], [(0, 0), (3, 32 << 20)], [(0, 0), (4, 0)],
                    ] {
                        try await inlet.send(
                            Batch(
                                ContiguousArray(
                                    batch.map { Reading(id: $0.0, value: Double($0.1)) })))
                    }
                }
            ).sink(.tcp(host: "127.0.0.1", port: proxy.port, encoder: picky))
        }
        let running = try await sender.start(.quiet(batchSize: 2))
        try await running.waitUntilFinished()
        #expect(proxy.counters.resets >= 2)
        #expect(running.deadLetters.total == 2)
        receiving.cancel()
        try await receiving.waitUntilFinished()
    }

    @Test func `refuse to start without a server, or with a port in use`() async throws {
        let server = try await LineServer()
        let port = server.port
        let taken = Topology("taken") {
            EventStream("in", from: .tcp(port: port, as: Reading.self)).sink(.discard)
        }
        let error = try #require(
            await #expect(throws: NetworkError.self) { _ = try await taken.start(.quiet()) })
        #expect(error.code == .addressInUse)
        try await server.stop()
        let nobodys = try ReservedPort()
        let alone = Topology("alone") {
            EventStream("readings", from: .collection([Reading(id: 1, value: 1)]))
                .sink(.tcp(host: "127.0.0.1", port: nobodys.number))
        }
        let refused = try #require(
            await #expect(throws: NetworkError.self) { _ = try await alone.start(.quiet()) })
        #expect(refused.code == .connectionRefused)
    }
}

/// A server that records lines.
private final class LineServer: Sendable {
    let lines = Recorder<String>()
    let closures = Recorder<Void>()
    let port: Int
    private let state: LoopBound<State>

    private final class State {
        var listener: TCPListener?
        var open: [FramedReader<LineFraming>] = []
    }

    init() async throws {
        let loop = try Loop.shared()
        let state = LoopBound(State(), on: loop)
        self.state = state
        let (lines, closures) = (lines, closures)
        port = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPListener.listen(
                    TCPListener.Configuration(), on: loop,
                    onAccept: { connection in
                        let reader = FramedReader(
                            connection, framing: LineFraming(),
                            onFrame: { line in
                                lines.append(String(decoding: line, as: UTF8.self))
                                return .proceed
                            }, onClosed: { _ in closures.append(()) })
                        state.value.open.append(reader)
                        reader.resume()
                    },
                    completion: { result in
                        if case .success(let listener) = result { state.value.listener = listener }
                        continuation.resume(with: result.map(\.address.port).mapError { $0 })
                    })
            }
        }
    }

    func closeConnections() async throws {
        let state = state
        try await state.loop.run {
            for reader in state.value.open { reader.connection.closeGracefully() }
            state.value.open.removeAll()
        }
    }

    func stop() async throws {
        let state = state
        try await state.loop.run {
            state.value.listener?.close()
            for reader in state.value.open { reader.connection.close() }
            state.value.open.removeAll()
        }
    }
}
