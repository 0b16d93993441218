import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

extension Benchmark {
    static var webSocketIngest: Benchmark {
        Benchmark(
            id: "N2", group: .network, title: "WebSocket ingest of 100-byte text messages",
            workload: """
                8 connections over loopback on path /events, each message one masked text frame with \
                a mask of its own, written in blocks of 64 KiB by another process, no answer awaited; \
                the server unmasks, counts and sums the payloads' first 8 bytes (little-endian). CPU \
                time of the server's process. NIO: one event loop, reads of 64 KiB, no UTF-8 check. Weir, which checks it: a \
                .webSocket source whose decoder takes the 8 bytes, and a sink, a stage of its own.
                """,
            metric: .cpuTime, events: 1_000_000,
            sides: [
                Side(
                    name: "Weir, .webSocket source and sink", isWeir: true,
                    run: { try await IngestTopology.webSocket($0) }),
                Side(
                    name: "NIO WebSocket, NIOAsyncChannel", bar: .faster(5),
                    run: { try await NIOWebSocketPeer.asyncChannel($0) }),
                Side(
                    name: "NIO WebSocket, ChannelInboundHandler",
                    run: { try await NIOWebSocketPeer.handler($0) }),
            ],
            expectedChecksum: { IngestPayload.checksum($0, perBlock: GenerateWebSocket.perBlock) })
    }
}

enum NIOWebSocketPeer {
    typealias Connection = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

    @concurrent
    static func asyncChannel(_ messages: Int) async throws -> Sample {
        let load = IngestLoad(.webSocket, messages: messages)
        return try await withEventLoop { group in
            let server = try await ServerBootstrap(group: group).configuredForIngest()
                .bind(host: "127.0.0.1", port: 0) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try upgrade(channel) { try Connection(wrappingChannelSynchronously: $0) }
                    }
                }
            return try await server.serve { connection in
                guard let connection = try await connection.get() else { return }
                try await receive(connection, load.tally)
            } while: { port in
                try await load.measure(port: port)
            }
        }
    }

    @concurrent
    static func handler(_ messages: Int) async throws -> Sample {
        let load = IngestLoad(.webSocket, messages: messages)
        let tally = load.tally
        return try await withEventLoop { group in
            let server = try await ServerBootstrap(group: group).configuredForIngest()
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        _ = try upgrade(channel) { channel in
                            try channel.pipeline.syncOperations.addHandler(FrameCounter(tally))
                        }
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let sample = try await load.measure(port: server.portNumber)
            try await server.close()
            return sample
        }
    }

    /// Sets the HTTP pipeline up for the upgrade; `connected` runs on the event loop after it.
    static func upgrade<Upgraded: Sendable>(
        _ channel: any Channel,
        _ connected: @escaping @Sendable (any Channel) throws -> Upgraded
    ) throws -> EventLoopFuture<Upgraded?> {
        let upgrader = NIOTypedWebSocketServerUpgrader<Upgraded?>(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    try connected(channel)
                }
            })
        let configuration = NIOTypedHTTPServerUpgradeConfiguration<Upgraded?>(
            upgraders: [upgrader],
            notUpgradingCompletionHandler: { channel in
                channel.close().map { nil }
            })
        return try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
            configuration: .init(upgradeConfiguration: configuration))
    }

    private static func receive(_ channel: Connection, _ tally: IngestTally) async throws {
        try await channel.executeThenClose { inbound, outbound in
            var sum = IngestSum()
            frames: for try await frame in inbound {
                switch frame.opcode {
                case .text, .binary:
                    sum.add(frame.unmaskedData)
                case .ping:
                    try await outbound.write(
                        WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData))
                case .connectionClose:
                    break frames
                default:
                    break
                }
            }
            tally.add(count: sum.count, checksum: sum.checksum)
        }
    }
}

/// The sink behind NIO's frame decoder, without a hop to a task.
private final class FrameCounter: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private var sum = IngestSum()
    private let tally: IngestTally

    init(_ tally: IngestTally) {
        self.tally = tally
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = Self.unwrapInboundIn(data)
        switch frame.opcode {
        case .text, .binary:
            sum.add(frame.unmaskedData)
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
            context.writeAndFlush(Self.wrapOutboundOut(pong), promise: nil)
        case .connectionClose:
            context.close(promise: nil)
        default:
            break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        tally.add(count: sum.count, checksum: sum.checksum)
        context.fireChannelInactive()
    }
}
