/// Sends datagrams to one receiver, waiting while the kernel has no room.
final class DatagramSender: Sendable {
    /// How long to wait for the kernel to have room again for UDP: nothing tells.
    private static let pause = Duration.milliseconds(1)

    private let destination: DatagramDestination
    private let socket: LoopBound<DatagramSocket>

    private init(_ destination: DatagramDestination, _ socket: LoopBound<DatagramSocket>) {
        self.destination = destination
        self.socket = socket
    }

    /// A sender to a socket in the file system, which somebody must have open.
    static func open(_ path: UnixPath, on loop: Loop) async throws -> DatagramSender {
        try await loop.run {
            let socket = try DatagramSocket(loop: loop, slotCount: 0)
            do {
                try socket.adopt(try path.connect(datagrams: true))
            } catch {
                socket.closeHandle()
                throw error
            }
            return DatagramSender(.file(path), LoopBound(socket, on: loop))
        }
    }

    static func open(host: String, port: Int, on loop: Loop) async throws -> DatagramSender {
        try await loop.wait { wait in
            Resolver.resolve(host, port: port, on: loop) { result in
                if wait.isOver { return }
                let sender = result.flatMap { addresses in
                    Result { () throws(NetworkError) in
                        let socket = try DatagramSocket(loop: loop, slotCount: 0)
                        return DatagramSender(
                            .address(addresses[0]), LoopBound(socket, on: loop))
                    }
                }
                wait.end(sender.mapError { $0 })
            }
        }
    }

    /// Sends datagrams, each ending where `ends` says in `bytes`.
    ///
    /// - Throws: When one can't be sent, and when the task is cancelled while the kernel has no room.
    func send(_ bytes: [UInt8], ends: [Int]) async throws {
        let (socket, destination) = (socket, destination)
        try await socket.loop.wait {
            Sending(socket.value, destination, bytes, ends, $0).goOn()
        }
    }

    func close() {
        let socket = socket
        socket.loop.execute { socket.value.closeHandle() }
    }

    /// Some datagrams on their way; used on the loop only.
    private final class Sending {
        private let socket: DatagramSocket
        private let destination: DatagramDestination
        private let bytes: [UInt8]
        private let ends: [Int]
        private let wait: LoopWait<Void>
        private var next = 0
        private var timer: LoopTimer?

        init(
            _ socket: DatagramSocket, _ destination: DatagramDestination, _ bytes: [UInt8],
            _ ends: [Int], _ wait: LoopWait<Void>
        ) {
            self.socket = socket
            self.destination = destination
            self.bytes = bytes
            self.ends = ends
            self.wait = wait
        }

        func goOn() {
            do throws(NetworkError) {
                while next < ends.count {
                    if wait.isOver { return }
                    let range = (next == 0 ? 0 : ends[next - 1])..<ends[next]
                    next += 1
                    if try !send(range) { return }
                }
                wait.end(.success(()))
            } catch {
                wait.end(.failure(error))
            }
        }

        /// Sends a datagram; false when that will be done later, and then goes on.
        private func send(_ range: Range<Int>) throws(NetworkError) -> Bool {
            let (socket, destination) = (socket, destination)
            let isSent = bytes.withUnsafeBytes { bytes in
                Result { () throws(NetworkError) in
                    try socket.trySend(
                        UnsafeRawBufferPointer(rebasing: bytes[range]), to: destination)
                }
            }
            if try isSent.get() { return true }
            switch destination {
            case .address:
                next -= 1
                try sleep()
            case .file:
                socket.sendLater(bytes[range]) { [self] status in
                    do throws(NetworkError) {
                        try destination.check(status, "sending to")
                        goOn()
                    } catch {
                        wait.end(.failure(error))
                    }
                }
            }
            return false
        }

        private func sleep() throws(NetworkError) {
            let timer = try LoopTimer(on: socket.loop) { [self] in
                self.timer?.close()
                self.timer = nil
                goOn()
            }
            self.timer = timer
            timer.start(after: DatagramSender.pause)
        }
    }
}
