import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A TCP listener` {
    /// Listens on a port of the system's choice; `onAccept` runs on the loop.
    static func listen(
        on loop: Loop, _ configuration: TCPListener.Configuration = .init(),
        _ onAccept: @escaping @Sendable (TCPConnection) -> Void
    ) async throws -> LoopBound<TCPListener> {
        try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPListener.listen(configuration, on: loop, onAccept: onAccept) { result in
                    continuation.resume(
                        with: result.map { LoopBound($0, on: loop) }.mapError { $0 })
                }
            }
        }
    }

    static func address(of listener: LoopBound<TCPListener>) async throws -> SocketAddress {
        try await listener.loop.run { listener.value.address }
    }

    @Test func `says why an address cannot be listened on`() async throws {
        let loop = try Loop()
        let first = try await Self.listen(on: loop) { _ in }
        let port = try await Self.address(of: first).port
        #expect(port > 0)
        let error = await #expect(throws: NetworkError.self) {
            _ = try await Self.listen(on: loop, .init(port: port)) { _ in }
        }
        #expect(error?.code == .addressInUse)
        #expect(error?.message.contains("127.0.0.1:\(port)") == true)
        let other = await #expect(throws: NetworkError.self) {
            _ = try await Self.listen(on: loop, .init(host: "192.0.2.1")) { _ in }
        }
        #expect(other?.code == .addressNotAvailable)
        await #expect(throws: NetworkError.self) {
            _ = try await Self.listen(on: loop, .init(port: 70_000)) { _ in }
        }
        await loop.stop()
    }

    @Test func `closes connections above its limit and counts them`() async throws {
        let loop = try Loop()
        var configuration = TCPListener.Configuration()
        configuration.maximumConnections = 2
        let listener = try await Self.listen(on: loop, configuration) { connection in
            connection.handler = Discard()
            connection.resumeReading()
        }
        let address = try await Self.address(of: listener)
        let first = try await RawClient.connect(to: address, on: loop)
        let second = try await RawClient.connect(to: address, on: loop)
        let third = try await RawClient.connect(to: address, on: loop)
        #expect(await third.receive().isEmpty)
        let counts = try await loop.run {
            [listener.value.openCount, listener.value.acceptedCount, listener.value.refusedCount]
        }
        #expect(counts == [2, 2, 1])
        try await first.reset()
        try await second.close()
        await loop.stop()
    }

    @Test func `refuses to connect where nobody listens`() async throws {
        let loop = try Loop()
        let listener = try await Self.listen(on: loop) { _ in }
        let address = try await Self.address(of: listener)
        try await loop.run { listener.value.close() }
        // The descriptor is closed in the loop's next turn, before a later connect.
        try await loop.run {}
        let error = await #expect(throws: NetworkError.self) {
            _ = try await RawClient.connect(to: address, on: loop)
        }
        #expect(error?.code == .connectionRefused)
        await loop.stop()
    }

    @Test func `resolves names and says when there is none`() async throws {
        let loop = try Loop()
        let error = await #expect(throws: NetworkError.self) {
            _ = try await WebSocketClient.connect(to: "ws://no-such-name.invalid:1/", on: loop)
        }
        #expect(error?.code == .addressNotAvailable)
        await loop.stop()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A TCP connection that is closed` {
    /// What a server keeps for its connections, and what its closures hold.
    private final class Kept {
        let gone: Recorder<Bool>
        var listener: TCPListener?
        var reader: FramedReader<LineFraming>?

        init(_ gone: Recorder<Bool>) { self.gone = gone }

        deinit { gone.append(true) }
    }

    @Test func `lets go of what its reader's and its listener's closures hold`() async throws {
        let loop = try Loop()
        let (gone, ended) = (Recorder<Bool>(), Recorder<Bool>())
        func serve() async throws {
            let kept = LoopBound(Kept(gone), on: loop)
            let listener = try await `A TCP listener`.listen(on: loop) { connection in
                let kept = kept.value
                kept.reader = FramedReader(connection, framing: LineFraming()) { _ in
                    kept.reader == nil ? .stop : .proceed
                } onClosed: { _ in
                    ended.append(true)
                }
                kept.reader?.resume()
            }
            try await loop.run { kept.value.listener = listener.value }
            let address = try await `A TCP listener`.address(of: listener)
            let client = try await RawClient.connect(to: address, on: loop)
            try await client.send("line\n")
            try await client.close()
            await ended.wait(for: 1)
            try await loop.run { listener.value.close() }
        }
        try await serve()
        await gone.wait(for: 1)
        await loop.stop()
    }
}

@Suite(.timeLimit(.minutes(5))) struct `A TCP connection` {
    /// Reads lines; full after each `limit` of them until told to go on.
    final class Lines {
        var lines: [String] = []
        var limit = Int.max
        var reader: FramedReader<LineFraming>?
        var mostHeld = 0
    }

    @Test func `blocks a fast sender while its reader is full and loses nothing`() async throws {
        let loop = try Loop()
        let clientLoop = try Loop()
        let lines = LoopBound(Lines(), on: loop)
        let stopped = Recorder<Int>()
        let ended = Recorder<Bool>()
        let listener = try await `A TCP listener`.listen(on: loop) { connection in
            let state = lines.value
            state.limit = 1
            let reader = FramedReader(connection, framing: LineFraming()) { bytes in
                state.lines.append(String(decoding: bytes, as: UTF8.self))
                let isFull = state.lines.count >= state.limit
                if isFull { stopped.append(state.lines.count) }
                return isFull ? .stop : .proceed
            } onClosed: {
                ended.append($0 == nil)
            }
            state.reader = reader
            reader.resume()
        }
        let address = try await `A TCP listener`.address(of: listener)
        let client = try await RawClient.connect(to: address, on: clientLoop)
        let piece = (0..<1_000).flatMap { Array("line \($0) of a piece\n".utf8) }
        let taken = try await client.fill(with: piece, atMost: 64 * 1_024 * 1_024)
        // The kernel's buffers are full: the sender could not hand over all it wanted to.
        #expect(taken < 64 * 1_024 * 1_024)
        _ = await stopped.wait(for: 1)
        var mostHeld = 0
        #expect(try await loop.run { lines.value.lines.count } == 1)
        // Go on one line at a time for a while, then freely.
        for step in 2...2_500 {
            try await loop.run {
                lines.value.limit = step
                lines.value.reader?.resume()
            }
            _ = await stopped.wait(for: step)
            let held = try await loop.run { lines.value.reader?.heldByteCount ?? 0 }
            mostHeld = max(mostHeld, held)
        }
        #expect(mostHeld > 0 && mostHeld <= LoopScratch.readCapacity + 100)
        try await loop.run {
            lines.value.limit = .max
            lines.value.reader?.resume()
        }
        try await client.endSending()
        #expect(await ended.wait(for: 1) == [true])
        let all = try await loop.run { lines.value.lines }
        let count = taken / piece.count * 1_000
        #expect(all.count == count)
        #expect(all.enumerated().allSatisfy { $1 == "line \($0 % 1_000) of a piece" })
        await loop.stop()
        await clientLoop.stop()
    }

    @Test func `tells its writer when the queue is full and when it has drained`() async throws {
        let loop = try Loop()
        let drained = Recorder<Bool>()
        let outcomes = Recorder<[WriteOutcome]>()
        let listener = try await `A TCP listener`.listen(on: loop) { connection in
            connection.handler = Writer(drained)
            connection.writeLimit = 100_000
            connection.resumeReading()
            let piece = [UInt8](repeating: 0x61, count: 50_000)
            var seen: [WriteOutcome] = []
            while seen.last != .refused {
                seen.append(piece.withUnsafeBytes { connection.write($0) })
            }
            outcomes.append(seen)
        }
        let address = try await `A TCP listener`.address(of: listener)
        let client = try await RawClient.connect(to: address, on: loop, isReading: false)
        let seen = await outcomes.wait(for: 1)[0]
        #expect(seen.first == .sent)
        #expect(seen.contains(.queued))
        #expect(drained.values.isEmpty)
        try await client.startReading()
        #expect(await drained.wait(for: 1) == [true])
        let expected = (seen.count - 1) * 50_000
        #expect(await client.receive(count: expected).count == expected)
        await loop.stop()
    }

    final class Writer: TCPConnectionHandler {
        private let drained: Recorder<Bool>
        init(_ drained: Recorder<Bool>) { self.drained = drained }
        func connection(
            _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
        ) -> Int { bytes.count }
        func connectionDrained(_ connection: TCPConnection) { drained.append(true) }
    }

    @Test func `delivers everything that was written before a graceful close`() async throws {
        let loop = try Loop()
        let clientLoop = try Loop()
        let block = SharedBytes((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 1_000) })
        let listener = try await `A TCP listener`.listen(on: loop) { connection in
            connection.handler = Discard()
            connection.resumeReading()
            connection.write("begin ")
            connection.write(block)
            _ = SharedBytes(" end".utf8).withUnsafeBytes {
                connection.writeLimit = .max; return connection.write($0)
            }
            connection.closeGracefully(within: .seconds(30))
        }
        let address = try await `A TCP listener`.address(of: listener)
        let client = try await RawClient.connect(to: address, on: clientLoop)
        let got = await client.receive()
        let expected = Array("begin ".utf8) + block.withUnsafeBytes { Array($0) }
        #expect(got.prefix(expected.count).elementsEqual(expected))
        #expect(got.dropFirst(expected.count).elementsEqual(Array(" end".utf8)))
        await loop.stop()
        await clientLoop.stop()
    }

    @Test func `goes on closing as long as its peer takes what is queued`() async throws {
        let (loop, clientLoop) = (try Loop(), try Loop())
        let size = 32 << 20
        let accepted = Recorder<LoopBound<TCPConnection>>()
        let listener = try await `A TCP listener`.listen(on: loop) { connection in
            connection.handler = Discard()
            connection.write(SharedBytes([UInt8](repeating: 7, count: size)))
            connection.closeWhenTaken(orStuckFor: .seconds(3_600))
            accepted.append(LoopBound(connection, on: loop))
        }
        let address = try await `A TCP listener`.address(of: listener)
        /// Lets the time pass; whether the connection is still there.
        @Sendable func look(_ connection: LoopBound<TCPConnection>) async throws -> Bool {
            try await loop.run {
                let connection = connection.value
                if connection.phase == .flushing { connection.timer?.onFire() }
                return connection.phase != .closed
            }
        }
        let client = try await RawClient.connect(to: address, on: clientLoop)
        let taken = await accepted.wait(for: 1)[0]
        _ = await client.receive(count: size / 2)
        #expect(try await look(taken))
        #expect(await client.receive().count == size)
        let stuck = try await RawClient.connect(to: address, on: clientLoop, isReading: false)
        let untaken = await accepted.wait(for: 2)[1]
        while try await look(untaken) {}
        try await stuck.startReading()
        #expect(await stuck.receive().count < size)
        await loop.stop()
        await clientLoop.stop()
    }

    @Test func `reports a reset and an idle time`() async throws {
        let loop = try Loop()
        let errors = Recorder<NetworkError?>()
        let listener = try await `A TCP listener`.listen(on: loop) { connection in
            connection.handler = Discard(ends: errors)
            connection.idleTimeout = .milliseconds(50)
            connection.resumeReading()
        }
        let address = try await `A TCP listener`.address(of: listener)
        let client = try await RawClient.connect(to: address, on: loop)
        #expect(await errors.wait(for: 1).last??.code == .timedOut)
        try await client.close()
        try await loop.run { listener.value.close() }
        let second = try await `A TCP listener`.listen(on: loop) { connection in
            connection.handler = Discard(ends: errors)
            connection.resumeReading()
        }
        let other = try await RawClient.connect(
            to: try await `A TCP listener`.address(of: second), on: loop)
        try await other.send("before it")
        try await other.reset()
        #expect(await errors.wait(for: 2).last??.code == .connectionLost)
        await loop.stop()
    }
}
