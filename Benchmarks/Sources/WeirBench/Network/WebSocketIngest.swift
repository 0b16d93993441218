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
                time of the server's process. NIO: one event loop, reads of 64 KiB, no UTF-8 check.
                """,
            metric: .cpuTime, events: 1_000_000,
            sides: [
                Side(
                    name: "NIO WebSocket, NIOAsyncChannel", bar: .faster(5),
                    run: { try await NIOWebSocketPeer.asyncChannel($0) })
            ],
            expectedChecksum: { IngestPayload.checksum($0, perBlock: GenerateWebSocket.perBlock) })
    }
}

private enum NIOWebSocketPeer {
    typealias Connection = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

    @concurrent
    static func asyncChannel(_ messages: Int) async throws -> Sample {
        let load = IngestLoad(.webSocket, messages: messages)
        return try await withEventLoop { group in
            let server = try await ServerBootstrap(group: group).configuredForIngest()
                .bind(host: "127.0.0.1", port: 0) { channel in
                    channel.eventLoop.makeCompletedFuture { try upgrade(channel) }
                }
            return try await server.serve { connection in
                guard let connection = try await connection.get() else { return }
                try await receive(connection, load.tally)
            } while: { port in
                try await load.measure(port: port)
            }
        }
    }

    private static func upgrade(_ channel: any Channel) throws -> EventLoopFuture<Connection?> {
        let upgrader = NIOTypedWebSocketServerUpgrader<Connection?>(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    try Connection(wrappingChannelSynchronously: channel)
                }
            })
        let configuration = NIOTypedHTTPServerUpgradeConfiguration<Connection?>(
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
