import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A TLS connection` {
    /// A listener and a connected client, each on a loop of its own.
    private struct Ends {
        let loops: [Loop]
        let server: LoopBound<TCPConnection>
        let client: LoopBound<TCPConnection>

        func stop() async { for loop in loops { await loop.stop() } }
    }

    /// Keeps what it gets; full after `limit` bytes.
    private final class Keeper: TCPConnectionHandler {
        var bytes: [UInt8] = []
        var limit = Int.max
        let news = Recorder<Int>()
        let drained = Recorder<Bool>()
        let ended = Recorder<Bool>()
        let closed = Recorder<NetworkError?>()

        func connection(
            _ connection: TCPConnection, received new: UnsafeMutableRawBufferPointer
        ) -> Int {
            let count = min(new.count, max(0, limit - bytes.count))
            bytes += new.prefix(count)
            news.append(bytes.count)
            return count
        }

        func connectionDrained(_ connection: TCPConnection) { drained.append(true) }

        func connectionReachedEnd(_ connection: TCPConnection) {
            ended.append(true)
            connection.closeGracefully(within: .seconds(30))
        }

        func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
            closed.append(error)
        }
    }

    private func connect(
        _ server: LoopBound<Keeper>, _ client: LoopBound<Keeper>
    ) async throws -> Ends {
        let certificates = try await Certificates.shared
        let (loop, clientLoop) = (server.loop, client.loop)
        let context = try TLSClientContext(certificates.client())
        let accepted = Recorder<LoopBound<TCPConnection>>()
        var configuration = TCPListener.Configuration()
        configuration.tls = try TLSServerContext(certificates.server())
        let listener = try await `A TCP listener`.listen(on: loop, configuration) { connection in
            connection.handler = server.value
            connection.resumeReading()
            accepted.append(LoopBound(connection, on: loop))
        }
        let address = try await `A TCP listener`.address(of: listener)
        let made: LoopBound<TCPConnection> = try await withCheckedThrowingContinuation {
            continuation in
            clientLoop.execute {
                TCPConnection.connect(
                    to: address.ip, port: address.port, on: clientLoop, tls: context
                ) { result in
                    continuation.resume(
                        with: result.mapError { $0 }.map { connection in
                            connection.handler = client.value
                            connection.resumeReading()
                            return LoopBound(connection, on: clientLoop)
                        })
                }
            }
        }
        return Ends(
            loops: [loop, clientLoop], server: await accepted.wait(for: 1)[0], client: made)
    }

    private func keepers() throws -> (LoopBound<Keeper>, LoopBound<Keeper>) {
        (LoopBound(Keeper(), on: try Loop()), LoopBound(Keeper(), on: try Loop()))
    }

    private static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    @Test func `carries large writes both ways and ends in order`() async throws {
        let (server, client) = try keepers()
        let ends = try await connect(server, client)
        let bytes = Self.pattern(3_000_000)
        let shared = SharedBytes(bytes)
        try await ends.client.loop.run {
            #expect(ends.client.value.write(shared) != .refused)
            ends.client.value.closeGracefully(within: .seconds(60))
        }
        try await ends.server.loop.run { [server] in
            bytes.withUnsafeBytes { _ = ends.server.value.write($0) }
            // The limit holds while the peer has not taken it.
            if ends.server.value.queuedByteCount > 0 {
                #expect(bytes.withUnsafeBytes { ends.server.value.write($0) } == .refused)
            }
            _ = server
        }
        let (serverKeeper, clientKeeper) = try await (
            server.loop.run { LoopBound(server.value.closed, on: server.loop) },
            client.loop.run { LoopBound(client.value.closed, on: client.loop) }
        )
        let endings = try await (
            serverKeeper.loop.run { serverKeeper.value },
            clientKeeper.loop.run { clientKeeper.value }
        )
        #expect(await endings.0.wait(for: 1)[0] == nil)
        #expect(await endings.1.wait(for: 1)[0] == nil)
        #expect(try await server.loop.run { server.value.bytes } == bytes)
        #expect(try await server.loop.run { server.value.ended.values.count } == 1)
        await ends.stop()
    }

    @Test func `does not decrypt for a handler that is full`() async throws {
        let (server, client) = try keepers()
        try await server.loop.run { server.value.limit = 1_000 }
        let ends = try await connect(server, client)
        let news = try await server.loop.run { server.value.news }
        let drained = try await client.loop.run { client.value.drained }
        let bytes = Self.pattern(8_000_000)
        // More than the kernel's buffers take, so that the sender has to wait.
        let shared = SharedBytes(bytes)
        try await client.loop.run { _ = ends.client.value.write(shared) }
        _ = await news.wait(for: 1)
        let held = try await server.loop.run { [server] in
            (server.value.bytes.count, ends.server.value.heldByteCount)
        }
        #expect(held.0 <= 1_000)
        #expect(held.1 <= 2 * LoopScratch.readCapacity)
        #expect(try await client.loop.run { ends.client.value.queuedByteCount } > 0)
        #expect(drained.values.isEmpty)
        // In steps, with pauses in odd places.
        for limit in [1_001, 20_000, 70_000, 70_001, 500_000] {
            try await server.loop.run {
                server.value.limit = limit
                ends.server.value.resumeReading()
            }
            while true {
                // Counted first: what comes between the look at it and the wait is news too.
                let known = news.values.count
                if try await server.loop.run({ server.value.bytes.count }) >= limit { break }
                _ = await news.wait(for: known + 1)
            }
            let now = try await server.loop.run {
                (server.value.bytes.count, ends.server.value.heldByteCount)
            }
            #expect(now.0 == limit)
            #expect(now.1 <= 2 * LoopScratch.readCapacity)
        }
        try await server.loop.run {
            server.value.limit = .max
            ends.server.value.resumeReading()
        }
        _ = await drained.wait(for: 1)
        try await client.loop.run { ends.client.value.closeGracefully(within: .seconds(60)) }
        let closed = try await server.loop.run { server.value.closed }
        #expect(await closed.wait(for: 1)[0] == nil)
        #expect(try await server.loop.run { server.value.bytes } == bytes)
        await ends.stop()
    }

    @Test func `tells an end that was cut off from one that the peer meant`() async throws {
        let (server, client) = try keepers()
        let ends = try await connect(server, client)
        try await client.loop.run {
            ends.client.value.write("half a mess")
            // The socket ends, and TLS does not say so.
            ends.client.value.tls = nil
            ends.client.value.closeGracefully()
        }
        let closed = try await server.loop.run { server.value.closed }
        #expect(await closed.wait(for: 1)[0]?.code == .truncated)
        #expect(try await server.loop.run { server.value.ended.values.isEmpty })
        #expect(
            try await server.loop.run { server.value.bytes } == Array("half a mess".utf8))
        await ends.stop()
    }

    @Test func `ends in order when it is closed at once and nothing waits`() async throws {
        let (server, client) = try keepers()
        let ends = try await connect(server, client)
        try await client.loop.run { ends.client.value.close() }
        let ended = try await server.loop.run { (server.value.ended, server.value.closed) }
        _ = await ended.0.wait(for: 1)
        #expect(await ended.1.wait(for: 1)[0] == nil)
        await ends.stop()
    }
}
