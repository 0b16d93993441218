import NIOCore
import NIOPosix
import NIOWebSocket
import Weir

extension Benchmark {
    static var webSocketEcho: Benchmark {
        var benchmark = Benchmark(
            id: "N2b", group: .network, title: "WebSocket echo of 20-byte text messages",
            workload: """
                100 connections over loopback on path /events, on each one masked text frame of 20 \
                bytes at a time, sent by another process when the answer to the one before has come; \
                the server sends each text back, unmasked. The process that sends compares every \
                answer. CPU time of the server's process: 10⁹ over it is messages per CPU second. \
                NIO: one event loop, no UTF-8 check. Weir, which checks it: a NetworkServer with a \
                WebSocketHandler.
                """,
            metric: .cpuTime, events: 300_000,
            sides: [
                Side(
                    name: "Weir, WebSocketHandler", isWeir: true,
                    run: { try await WeirEcho.measure($0) }),
                Side(
                    name: "NIO WebSocket, ChannelInboundHandler", bar: .faster(1.8),
                    run: { try await NIOWebSocketPeer.echo($0) }),
                Side(
                    name: "NIO WebSocket, NIOAsyncChannel",
                    run: { try await NIOWebSocketPeer.asyncEcho($0) }),
            ],
            expectedChecksum: { UInt64($0) })
        benchmark.sides += UWebSocketsPeer.side(share: 0.95) {
            try await UWebSocketsPeer.echo($0, $1)
        }
        return benchmark
    }
}

/// The load of the echo benchmark.
struct EchoLoad: Sendable {
    static let payload = "an echo of 20 bytes."
    static let connections = 100

    let messages: Int

    /// Runs the load generator against a port of this process until every message has come back.
    func measure(port: Int) async throws -> Sample {
        let generator = try LoadGenerator(
            .webSocketEcho, port: port, messages: messages, connections: Self.connections)
        do {
            try await generator.ready()
            let watch = Stopwatch()
            try generator.start()
            let used = try await generator.finish()
            // The generator has compared the answers: it fails at the first that is wrong.
            var sample = watch.sample(events: messages, checksum: UInt64(messages))
            sample.generatorCPU = used
            return sample
        } catch {
            generator.kill()
            throw error
        }
    }
}

private final class WeirEcho: WebSocketHandler {
    @concurrent
    static func measure(_ messages: Int) async throws -> Sample {
        let server = try NetworkServer()
        let handler = LoopBound(WeirEcho(), on: server.loop)
        server.addWebSocket(GenerateWebSocket.path) { _ in .accept(handler.value) }
        let address = try await server.start()
        let sample = try await EchoLoad(messages: messages).measure(port: address.port)
        await server.stop()
        return sample
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        connection.send(bytes, kind)
        return .proceed
    }
}

extension NIOWebSocketPeer {
    @concurrent
    static func echo(_ messages: Int) async throws -> Sample {
        try await withEventLoop { group in
            let server = try await ServerBootstrap(group: group).configuredForIngest()
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        _ = try upgrade(channel) { channel in
                            try channel.pipeline.syncOperations.addHandler(FrameEcho())
                        }
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let sample = try await EchoLoad(messages: messages).measure(port: server.portNumber)
            try await server.close()
            return sample
        }
    }

    @concurrent
    static func asyncEcho(_ messages: Int) async throws -> Sample {
        try await withEventLoop { group in
            let server = try await ServerBootstrap(group: group).configuredForIngest()
                .bind(host: "127.0.0.1", port: 0) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try upgrade(channel) { try Connection(wrappingChannelSynchronously: $0) }
                    }
                }
            return try await server.serve { connection in
                guard let connection = try await connection.get() else { return }
                try await connection.executeThenClose { inbound, outbound in
                    for try await frame in inbound where frame.opcode == .text {
                        try await outbound.write(
                            NIOWebSocket.WebSocketFrame(
                                fin: true, opcode: .text, data: frame.unmaskedData))
                    }
                }
            } while: { port in
                try await EchoLoad(messages: messages).measure(port: port)
            }
        }
    }
}

/// Sends each text back on the event loop.
private final class FrameEcho: ChannelInboundHandler {
    typealias InboundIn = NIOWebSocket.WebSocketFrame
    typealias OutboundOut = NIOWebSocket.WebSocketFrame

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = Self.unwrapInboundIn(data)
        guard frame.opcode == .text else { return }
        let answer = NIOWebSocket.WebSocketFrame(
            fin: true, opcode: .text, data: frame.unmaskedData)
        context.writeAndFlush(Self.wrapOutboundOut(answer), promise: nil)
    }
}
