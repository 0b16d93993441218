import NIOCore
import NIOPosix

extension Benchmark {
    static var tcpIngest: Benchmark {
        Benchmark(
            id: "N1", group: .network, title: "TCP ingest of 100-byte length-framed messages",
            workload: """
                8 connections over loopback, each message a 4-byte big-endian length and 100 bytes, \
                written in blocks of 64 KiB by another process; the server counts the messages and \
                sums their first 8 bytes (little-endian). CPU time of the server's process. NIO: one \
                event loop, reads of 64 KiB. Weir: a .tcp source whose decoder takes the 8 bytes, and a \
                sink, which is a stage of its own.
                """,
            metric: .cpuTime, events: 2_000_000,
            sides: [
                Side(
                    name: "Weir, .tcp source and sink", isWeir: true,
                    run: { try await IngestTopology.tcp($0) }),
                Side(
                    name: "NIOAsyncChannel, per message", bar: .faster(8),
                    run: { try await NIOTCPPeers.asyncChannel($0) }),
                Side(
                    name: "NIO ByteToMessageDecoder", bar: .faster(3),
                    run: { try await NIOTCPPeers.decoder($0) }),
                Side(
                    name: "NIO, framing in place", bar: .within(1.3),
                    run: { try await NIOTCPPeers.inPlace($0) }),
            ],
            expectedChecksum: { IngestPayload.checksum($0, perBlock: GenerateTCP.perBlock) })
    }
}

private enum NIOTCPPeers {
    @concurrent
    static func asyncChannel(_ messages: Int) async throws -> Sample {
        let load = IngestLoad(.lengthPrefixed, messages: messages)
        return try await withEventLoop { group in
            let server = try await bootstrap(group).bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ByteToMessageHandler(LengthFrameDecoder()))
                    return try NIOAsyncChannel<ByteBuffer, Never>(
                        wrappingChannelSynchronously: channel)
                }
            }
            return try await server.serve({ try await receive($0, load.tally) }) { port in
                try await load.measure(port: port)
            }
        }
    }

    private static func receive(
        _ channel: NIOAsyncChannel<ByteBuffer, Never>, _ tally: IngestTally
    ) async throws {
        try await channel.executeThenClose { inbound in
            var sum = IngestSum()
            for try await message in inbound { sum.add(message) }
            tally.add(count: sum.count, checksum: sum.checksum)
        }
    }

    @concurrent
    static func decoder(_ messages: Int) async throws -> Sample {
        let load = IngestLoad(.lengthPrefixed, messages: messages)
        return try await serve(load) { pipeline in
            try pipeline.addHandlers(
                ByteToMessageHandler(LengthFrameDecoder()), MessageCounter(load.tally))
        }
    }

    @concurrent
    static func inPlace(_ messages: Int) async throws -> Sample {
        let load = IngestLoad(.lengthPrefixed, messages: messages)
        return try await serve(load) { pipeline in
            try pipeline.addHandler(InPlaceFraming(load.tally))
        }
    }

    private static func serve(
        _ load: IngestLoad,
        _ configure: @escaping @Sendable (ChannelPipeline.SynchronousOperations) throws -> Void
    ) async throws -> Sample {
        try await withEventLoop { group in
            let server = try await bootstrap(group)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try configure(channel.pipeline.syncOperations)
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let sample = try await load.measure(port: server.portNumber)
            try await server.close()
            return sample
        }
    }

    private static func bootstrap(_ group: MultiThreadedEventLoopGroup) -> ServerBootstrap {
        ServerBootstrap(group: group).configuredForIngest()
    }
}

/// Cuts length-prefixed messages out of the bytes received.
private struct LengthFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = ByteBuffer

    mutating func decode(
        context: ChannelHandlerContext, buffer: inout ByteBuffer
    ) throws -> DecodingState {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else {
            return .needMoreData
        }
        guard length <= IngestSum.messageLengthMax else { throw MessageTooLong() }
        guard buffer.readableBytes >= 4 + Int(length) else { return .needMoreData }
        buffer.moveReaderIndex(forwardBy: 4)
        guard let message = buffer.readSlice(length: Int(length)) else { return .needMoreData }
        context.fireChannelRead(Self.wrapInboundOut(message))
        return .continue
    }
}

/// The sink behind the decoder.
private final class MessageCounter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var sum = IngestSum()
    private let tally: IngestTally

    init(_ tally: IngestTally) {
        self.tally = tally
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        sum.add(Self.unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        tally.add(count: sum.count, checksum: sum.checksum)
        context.fireChannelInactive()
    }
}

/// Frames and counts in one handler, in the buffer that was read, with no object a message.
private final class InPlaceFraming: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var sum = IngestSum()
    /// The beginning of a message whose rest is in the next read.
    private var partial = ByteBuffer()
    private let tally: IngestTally

    init(_ tally: IngestTally) {
        self.tally = tally
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = Self.unwrapInboundIn(data)
        guard completePartial(from: &buffer) else { return }
        // Safety: the pointer is used inside the closure only, every load behind a length check.
        let used = buffer.withUnsafeReadableBytes { bytes in frames(bytes) }
        guard let used else { return context.close(promise: nil) }
        buffer.moveReaderIndex(forwardBy: used)
        if buffer.readableBytes > 0 { partial.writeBuffer(&buffer) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        tally.add(count: sum.count, checksum: sum.checksum)
        context.fireChannelInactive()
    }

    /// Gives how many bytes whole messages took, or nothing if one is too long.
    private func frames(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var offset = 0
        while bytes.count - offset >= 4 {
            let length = UInt32(
                bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            guard length <= IngestSum.messageLengthMax else { return nil }
            guard bytes.count - offset >= 4 + Int(length) else { break }
            if length >= 8 {
                sum.add(
                    UInt64(
                        littleEndian: bytes.loadUnaligned(
                            fromByteOffset: offset + 4, as: UInt64.self)))
            }
            offset += 4 + Int(length)
        }
        return offset
    }

    /// Takes from the buffer what the message begun needs; false while it needs more.
    private func completePartial(from buffer: inout ByteBuffer) -> Bool {
        while partial.readableBytes > 0 {
            let length = partial.getInteger(at: partial.readerIndex, as: UInt32.self)
            let wanted = 4 + Int(length ?? 0)
            let missing = wanted - partial.readableBytes
            if missing <= 0, length != nil {
                partial.moveReaderIndex(forwardBy: 4)
                sum.add(partial)
                partial.clear()
            } else {
                let take = min(missing, buffer.readableBytes)
                guard take > 0, var part = buffer.readSlice(length: take) else { return false }
                partial.writeBuffer(&part)
            }
        }
        return true
    }
}
