/// Sends datagrams to one address, waiting while the kernel has no room.
final class UDPSender: Sendable {
    /// How long to wait for the kernel to have room again: nothing tells.
    private static let pause = Duration.milliseconds(1)

    private let address: SocketAddress
    private let socket: LoopBound<UDPSocket>

    private init(_ address: SocketAddress, _ socket: LoopBound<UDPSocket>) {
        self.address = address
        self.socket = socket
    }

    static func open(host: String, port: Int, on loop: Loop) async throws -> UDPSender {
        try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                Resolver.resolve(host, port: port, on: loop) { result in
                    let sender = result.flatMap { addresses in
                        Result { () throws(NetworkError) in
                            let socket = try UDPSocket(loop: loop, slotCount: 0)
                            return UDPSender(addresses[0], LoopBound(socket, on: loop))
                        }
                    }
                    continuation.resume(with: sender.mapError { $0 })
                }
            }
        }
    }

    /// Sends datagrams, each ending where `ends` says in `bytes`.
    func send(_ bytes: [UInt8], ends: [Int]) async throws {
        try await withCheckedThrowingContinuation { continuation in
            let (socket, address) = (socket, address)
            socket.loop.execute {
                Sending(socket.value, address, bytes, ends, continuation).goOn()
            }
        }
    }

    func close() {
        let socket = socket
        socket.loop.execute { socket.value.closeHandle() }
    }

    /// Some datagrams on their way; used on the loop only.
    private final class Sending {
        private let socket: UDPSocket
        private let address: SocketAddress
        private let bytes: [UInt8]
        private let ends: [Int]
        private let continuation: CheckedContinuation<Void, any Error>
        private var next = 0
        private var timer: LoopTimer?

        init(
            _ socket: UDPSocket, _ address: SocketAddress, _ bytes: [UInt8], _ ends: [Int],
            _ continuation: CheckedContinuation<Void, any Error>
        ) {
            self.socket = socket
            self.address = address
            self.bytes = bytes
            self.ends = ends
            self.continuation = continuation
        }

        func goOn() {
            do throws(NetworkError) {
                while next < ends.count {
                    let start = next == 0 ? 0 : ends[next - 1]
                    let (socket, address, end) = (socket, address, ends[next])
                    let isSent = bytes.withUnsafeBytes { bytes in
                        Result { () throws(NetworkError) in
                            try socket.trySend(
                                UnsafeRawBufferPointer(rebasing: bytes[start..<end]), to: address)
                        }
                    }
                    if try !isSent.get() { return try wait() }
                    next += 1
                }
                continuation.resume()
            } catch {
                continuation.resume(throwing: error)
            }
        }

        private func wait() throws(NetworkError) {
            let timer = try LoopTimer(on: socket.loop) { [self] in
                self.timer?.close()
                self.timer = nil
                goOn()
            }
            self.timer = timer
            timer.start(after: UDPSender.pause)
        }
    }
}
