import NIOCore
import NIOHTTP1
import NIOPosix

extension Benchmark {
    static var httpIngest: Benchmark {
        var benchmark = Benchmark(
            id: "N2c", group: .network, title: "HTTP ingest of 100-byte POST requests",
            workload: """
                64 connections over loopback, kept alive, one request outstanding on each: POST with \
                five headers and a body of 100 bytes; the server counts and sums the bodies' first 8 \
                bytes (little-endian) and answers 202 with {"accepted":1}. CPU time of the server's \
                process. NIO: one event loop, reads of 64 KiB, its HTTP/1 pipeline without pipelining \
                assistance, a handler that answers from the loop. Weir: an .http source whose decoder \
                takes the 8 bytes, and a sink, a stage of its own; the answer says that the stage's \
                mailbox has the event.
                """,
            metric: .cpuTime, events: 200_000,
            sides: [
                Side(
                    name: "Weir, .http source and sink", isWeir: true,
                    run: { try await IngestTopology.http($0) }),
                Side(
                    name: "NIO HTTP, ChannelInboundHandler", bar: .faster(2),
                    run: { try await NIOHTTPPeer.handler($0) }),
            ],
            expectedChecksum: {
                IngestPayload.checksum(
                    $0, perBlock: GenerateHTTP.perBlock,
                    connections: IngestLoad.Framing.http.connections)
            })
        benchmark.sides += UWebSocketsPeer.side(share: 0.9) {
            try await UWebSocketsPeer.http($0, $1)
        }
        return benchmark
    }
}

private enum NIOHTTPPeer {
    @concurrent
    static func handler(_ messages: Int) async throws -> Sample {
        let load = IngestLoad(.http, messages: messages)
        let tally = load.tally
        return try await withEventLoop { group in
            let server = try await ServerBootstrap(group: group).configuredForIngest()
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.configureHTTPServerPipeline(
                            withPipeliningAssistance: false, withErrorHandling: false)
                        try pipeline.addHandler(PostHandler(tally))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let sample = try await load.measure(port: server.portNumber)
            try await server.close()
            return sample
        }
    }
}

/// Sums what bodies begin with, and answers when one is complete.
private final class PostHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private var sum = IngestSum()
    private let tally: IngestTally
    private let head: HTTPResponseHead
    private let answer = ByteBuffer(string: #"{"accepted":1}"#)

    init(_ tally: IngestTally) {
        self.tally = tally
        // With a date, as RFC 9110 asks of a server; made once, which favours this side.
        let fields = [
            ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Content-Type", "application/json"),
            ("Content-Length", "14"),
        ]
        head = HTTPResponseHead(
            version: .http1_1, status: .accepted, headers: HTTPHeaders(fields))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head: break
        case .body(let body): sum.add(body)
        case .end:
            context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
            context.write(Self.wrapOutboundOut(.body(.byteBuffer(answer))), promise: nil)
            context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        tally.add(count: sum.count, checksum: sum.checksum)
        context.fireChannelInactive()
    }
}
