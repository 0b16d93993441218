@testable import WeirNetwork

/// A TCP peer that tests drive byte by byte, well-behaved or not.
final class RawClient: Sendable {
    let loop: Loop
    private let sink: LoopBound<Sink>

    private init(_ sink: LoopBound<Sink>) {
        self.sink = sink
        loop = sink.loop
    }

    /// Connects; a client that does not read leaves what it is sent in the kernel.
    static func connect(
        to address: SocketAddress, on loop: Loop, isReading: Bool = true,
        tls: TLSClientContext? = nil, sending bytes: [UInt8] = []
    ) async throws -> RawClient {
        let sink: LoopBound<Sink> = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPConnection.connect(
                    to: address.ip, port: address.port, on: loop, tls: tls
                ) { result in
                    continuation.resume(
                        with: result.mapError { $0 }.map { connection in
                            let sink = Sink(connection)
                            connection.handler = sink
                            if !bytes.isEmpty {
                                _ = bytes.withUnsafeBytes { connection.write($0) }
                            }
                            if isReading { connection.resumeReading() }
                            return LoopBound(sink, on: loop)
                        })
                }
            }
        }
        // Made here: the thread sanitizer does not see that a continuation hands objects over.
        return RawClient(sink)
    }

    /// Connects to a Unix socket.
    static func connect(toUnix path: String, on loop: Loop) async throws -> RawClient {
        RawClient(
            try await loop.run {
                let sink = Sink(try TCPConnection.connect(toUnix: path, on: loop))
                sink.connection.handler = sink
                sink.connection.resumeReading()
                return LoopBound(sink, on: loop)
            })
    }

    func send(_ bytes: [UInt8]) async throws {
        let sink = sink
        try await loop.run { _ = bytes.withUnsafeBytes { sink.value.connection.write($0) } }
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    /// Sends until the write queue refuses; returns the bytes that were taken.
    func fill(with piece: [UInt8], atMost limit: Int) async throws -> Int {
        let sink = sink
        return try await loop.run {
            var taken = 0
            while taken < limit {
                let outcome = piece.withUnsafeBytes { sink.value.connection.write($0) }
                if outcome == .refused || outcome == .closed { break }
                taken += piece.count
            }
            return taken
        }
    }

    /// Waits until what has come fulfils `condition` or the peer has ended; returns it all.
    func receive(
        until condition: @escaping @Sendable ([UInt8]) -> Bool = { _ in false }
    ) async -> [UInt8] {
        let sink = sink
        return await withCheckedContinuation { continuation in
            loop.execute { sink.value.wait(condition) { continuation.resume(returning: $0) } }
        }
    }

    func receive(count: Int) async -> [UInt8] { await receive { $0.count >= count } }

    func receiveText() async -> String { String(decoding: await receive(), as: UTF8.self) }

    /// Ends this side's way, and neither reads nor closes.
    func shutDown() async throws { try await perform { _ = $0.socket.endSending() } }

    func startReading() async throws { try await perform { $0.resumeReading() } }
    func endSending() async throws {
        try await perform { $0.closeGracefully(within: .seconds(20)) }
    }
    func close() async throws { try await perform { $0.close() } }
    func reset() async throws { try await perform { $0.reset() } }

    private func perform(_ body: @escaping @Sendable (TCPConnection) -> Void) async throws {
        let sink = sink
        try await loop.run { body(sink.value.connection) }
    }

    private final class Sink: TCPConnectionHandler {
        let connection: TCPConnection
        private var bytes: [UInt8] = []
        private var isEnded = false
        private var waiters: [(condition: ([UInt8]) -> Bool, done: ([UInt8]) -> Void)] = []

        init(_ connection: TCPConnection) { self.connection = connection }

        func wait(_ condition: @escaping ([UInt8]) -> Bool, _ done: @escaping ([UInt8]) -> Void) {
            waiters.append((condition, done))
            look()
        }

        private func look() {
            let (ready, rest) = (
                waiters.filter { isEnded || $0.condition(bytes) },
                waiters.filter { !isEnded && !$0.condition(bytes) }
            )
            waiters = rest
            for waiter in ready { waiter.done(bytes) }
        }

        func connection(
            _ connection: TCPConnection, received new: UnsafeMutableRawBufferPointer
        ) -> Int {
            bytes += new
            look()
            return new.count
        }

        func connectionReachedEnd(_ connection: TCPConnection) {
            isEnded = true
            look()
        }

        func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
            isEnded = true
            look()
        }
    }
}
