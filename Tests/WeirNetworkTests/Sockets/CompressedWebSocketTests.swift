import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A WebSocket server and client that compress` {
    private static func server(
        _ change: (inout WebSocketCompression) -> Void = { _ in }
    ) async throws -> TestServer {
        var compression = WebSocketCompression()
        change(&compression)
        return try await TestServer { $0.webSocket.compression = compression }
    }

    private static func client(
        _ test: TestServer, _ got: Recorder<[UInt8]>,
        _ change: (inout WebSocketCompression) -> Void = { _ in }
    ) async throws -> WebSocketClient {
        var compression = WebSocketCompression()
        change(&compression)
        var configuration = WebSocketClientConfiguration()
        configuration.connection.compression = compression
        return try await WebSocketClient.connect(
            to: test.url, on: test.loop, configuration: configuration
        ) { bytes, _ in
            got.append(Array(bytes))
            return .proceed
        }
    }

    private static let messages: [[UInt8]] = (0..<50).map { number in
        Array(String(repeating: "message \(number) ", count: number * 40).utf8)
    }

    @Test(arguments: [true, false], [true, false])
    func `echo messages, with and without windows that are kept`(
        _ keeps: Bool, _ peerKeeps: Bool
    ) async throws {
        let test = try await Self.server { $0.keepsWindow = keeps }
        let got = Recorder<[UInt8]>()
        let client = try await Self.client(test, got) {
            $0.keepsWindow = peerKeeps
            $0.windowBits = 9
            $0.peerWindowBits = 10
        }
        let isCompressed = Recorder<Bool>()
        await test.opened.wait(for: 1)[0].perform { isCompressed.append($0.isCompressed) }
        #expect(await isCompressed.wait(for: 1) == [true])
        for message in Self.messages { try await client.send(message) }
        #expect(await got.wait(for: Self.messages.count) == Self.messages)
        await client.close()
        let total = Self.messages.reduce(0) { $0 + $1.count }
        #expect(test.server.counters.bytesIn < total / 4)
        #expect(test.server.counters.bytesOut < total / 4)
        await test.stop()
    }

    @Test func `stay without compression unless both want it`() async throws {
        let plain = try await TestServer()
        let got = Recorder<[UInt8]>()
        let client = try await Self.client(plain, got)
        try await client.send([UInt8](repeating: 7, count: 5_000))
        #expect(await got.wait(for: 1)[0].count == 5_000)
        #expect(plain.server.counters.bytesIn > 5_000)
        await client.close()
        await plain.stop()
        let test = try await Self.server()
        let second = try await WebSocketClient.connect(to: test.url, on: test.loop) { bytes, _ in
            got.append(Array(bytes))
            return .proceed
        }
        try await second.send([UInt8](repeating: 8, count: 5_000))
        #expect(await got.wait(for: 2)[1].count == 5_000)
        #expect(test.server.counters.bytesIn > 5_000)
        await second.close()
        await test.stop()
    }

    @Test func `close with 1009 when a message expands beyond the limit`() async throws {
        let test = try await TestServer {
            $0.webSocket.compression = WebSocketCompression()
            $0.webSocket.limits.maximumMessageLength = 10_000
        }
        let client = try await Self.client(test, Recorder())
        try await client.send([UInt8](repeating: 0, count: 5 << 20))
        #expect(await test.closures.wait(for: 1)[0].code == .messageTooBig)
        #expect(test.server.counters.protocolErrors[1_009] == 1)
        #expect(test.server.counters.bytesIn < 10_000)
        await client.close()
        await test.stop()
    }

    @Test func `go on after a message that found the write queue full`() async throws {
        let test = try await TestServer {
            $0.webSocket.compression = WebSocketCompression()
            $0.webSocket.writeLimit = 1_000
            $0.webSocket.slowConsumers = .dropMessage
        }
        let got = Recorder<[UInt8]>()
        let client = try await Self.client(test, got)
        let server = await test.opened.wait(for: 1)[0]
        let outcomes = Recorder<[WriteOutcome]>()
        var random = SplitMix64(seed: 9)
        // Noise fills the kernel's buffers, then the queue; the client reads again afterwards.
        let noise = random.bytes(400_000)
        server.perform { connection in
            outcomes.append(
                (0..<40).map { _ in noise.withUnsafeBytes { connection.send($0, .binary) } })
        }
        let all = await outcomes.wait(for: 1)[0]
        let taken = all.filter { $0 == .sent || $0 == .queued }.count
        #expect(all.contains(.refused))
        #expect(await got.wait(for: taken).allSatisfy { $0 == noise })
        server.perform { connection in
            _ = noise.withUnsafeBytes { connection.send($0, .binary) }
        }
        #expect(await got.wait(for: taken + 1)[taken] == noise)
        await client.close()
        await test.stop()
    }
}
