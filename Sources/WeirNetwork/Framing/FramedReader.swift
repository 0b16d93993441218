/// Reads frames from a TCP connection and gives them to closures, with back pressure.
///
/// Used on the connection's loop only. When `onFrame` answers ``Flow/stop``, nothing more is given
/// until ``resume()``; at most one read buffer of bytes is held and the socket is not read.
public final class FramedReader<Cutter: Framing>: TCPConnectionHandler {
    /// The connection that is read.
    public let connection: TCPConnection
    private var framing: Cutter
    private let cut: Cut
    var consumer: FrameConsumer
    private var onBatchEnd: () -> Void
    private var onClosed: ((any Error)?) -> Void
    private var failure: (any Error)?

    /// Takes over a connection; call ``resume()`` to start.
    ///
    /// - Parameters:
    ///   - onFrame: gets each frame's bytes, valid during the call; what it throws closes the
    ///     connection.
    ///   - onBatchEnd: runs after the frames of one read of the socket.
    ///   - onClosed: runs once at the end; with a ``FramingError``, a ``NetworkError``, or `nil`
    ///     after an orderly end. All closures are let go of then.
    public convenience init(
        _ connection: TCPConnection, framing: Cutter,
        onFrame: @escaping (UnsafeRawBufferPointer) throws -> Flow,
        onBatchEnd: @escaping () -> Void = {},
        onClosed: @escaping ((any Error)?) -> Void = { _ in }
    ) {
        self.init(
            connection, framing: framing, cut: { try $0.list($1, in: &$2, $3) },
            consumer: .one(onFrame), onBatchEnd: onBatchEnd, onClosed: onClosed)
    }

    /// Lists the frames of a read for a consumer that takes them together; made where the framing is
    /// known, so that a frame costs no call.
    typealias Cut = (
        inout Cutter, UnsafeRawBufferPointer, inout FrameList, (Messages) throws -> Flow
    ) throws -> Int

    init(
        _ connection: TCPConnection, framing: Cutter, cut: @escaping Cut, consumer: FrameConsumer,
        onBatchEnd: @escaping () -> Void, onClosed: @escaping ((any Error)?) -> Void
    ) {
        self.connection = connection
        self.framing = framing
        self.cut = cut
        self.consumer = consumer
        self.onBatchEnd = onBatchEnd
        self.onClosed = onClosed
        connection.handler = self
    }

    /// Bytes of incomplete frames and of frames that wait, all that is held for this connection.
    public var heldByteCount: Int { framing.carriedByteCount + connection.heldByteCount }

    /// Bytes of a frame that is not complete.
    var carriedByteCount: Int { framing.carriedByteCount }

    /// Goes on: first with the bytes that are held, then with the socket.
    public func resume() { connection.resumeReading() }

    /// Takes bytes from the connection; called by it only.
    public func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        let bytes = UnsafeRawBufferPointer(bytes)
        var list = FrameList(connection)
        defer { list.giveBack() }
        do {
            let used: Int
            if case .many(let onFrames) = consumer {
                used = try cut(&framing, bytes, &list, onFrames)
            } else {
                // Whoever takes one frame may give the others to somebody else.
                used = try framing.consume(bytes) { frame in
                    try consumer.take(frame, in: bytes, &list)
                }
            }
            try consumer.takeRest(of: &list)
            return used
        } catch {
            fail(error)
            // What came before the mistake counts.
            do { try consumer.takeRest(of: &list) } catch { fail(error) }
            connection.closeGracefully()
            return bytes.count
        }
    }

    private func fail(_ error: any Error) {
        if failure == nil { failure = error }
    }

    /// Ends a batch; called by the connection only.
    public func connectionReceivedAll(_ connection: TCPConnection) { onBatchEnd() }

    /// Takes note of the peer's end; called by the connection only.
    public func connectionReachedEnd(_ connection: TCPConnection) {
        var list = FrameList(connection)
        defer { list.giveBack() }
        do {
            try framing.finish { frame in
                try consumer.take(frame, in: UnsafeRawBufferPointer(start: nil, count: 0), &list)
            }
            onBatchEnd()
        } catch {
            fail(error)
        }
        connection.closeGracefully()
    }

    /// Reports the end; called by the connection only.
    public func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        onClosed(failure ?? error)
        // What the closures hold often holds this reader.
        consumer = .one { _ in .stop }
        onBatchEnd = {}
        onClosed = { _ in }
    }
}
