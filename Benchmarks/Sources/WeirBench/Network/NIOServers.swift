import NIOCore
import NIOPosix

/// What a NIO peer counts and sums of its messages.
struct IngestSum {
    static let messageLengthMax = 1 << 20

    private(set) var count = 0
    private(set) var checksum: UInt64 = 0

    @inline(__always)
    mutating func add(_ value: UInt64) {
        count += 1
        checksum &+= value
    }

    @inline(__always)
    mutating func add(_ message: ByteBuffer) {
        let value = message.getInteger(
            at: message.readerIndex, endianness: .little, as: UInt64.self)
        if let value { add(value) }
    }
}

struct MessageTooLong: Error {}

extension ServerBootstrap {
    /// What all NIO peers share: reads of 64 KiB.
    func configuredForIngest() -> ServerBootstrap {
        serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
    }
}

extension Channel {
    /// The port that a listening channel got; 0 if it has none.
    var portNumber: Int { localAddress?.port ?? 0 }
}

/// One event loop for the time of `body`.
func withEventLoop(
    _ body: (MultiThreadedEventLoopGroup) async throws -> Sample
) async throws -> Sample {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
        let sample = try await body(group)
        try await group.shutdownGracefully()
        return sample
    } catch {
        try? await group.shutdownGracefully()
        throw error
    }
}

extension NIOAsyncChannel where Outbound == Never {
    /// Serves every connection in a task of its own until `body` is done.
    func serve(
        _ connection: @escaping @Sendable (Inbound) async throws -> Void,
        while body: (_ port: Int) async throws -> Sample
    ) async throws -> Sample {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await self.executeThenClose { inbound in
                    await withDiscardingTaskGroup { connections in
                        do {
                            for try await accepted in inbound {
                                connections.addTask { try? await connection(accepted) }
                            }
                        } catch {
                            connections.cancelAll()
                        }
                    }
                }
            }
            let sample = try await body(channel.portNumber)
            group.cancelAll()
            return sample
        }
    }
}
