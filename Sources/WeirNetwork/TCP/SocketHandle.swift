import CLibUV

/// The socket of a TCP connection: its descriptor, and libuv's poll that tells when it is ready.
///
/// It calls the kernel itself, not by libuv's streams: `recv` and `send` pass by the file system's
/// layer that `read` and `write` go through, and a pause that is short costs no call at all.
final class SocketHandle: LoopHandle {
    /// Pieces given to the kernel at once.
    private static let piecesPerCall = 64
    /// Calls in one turn of the loop, so that other sockets get their turn as well.
    static let callsPerTurn = 32
    private static let readable = Int32(UV_READABLE.rawValue)
    private static let writable = Int32(UV_WRITABLE.rawValue)

    var resetsOnClose = false
    var onClosed: (() -> Void)?
    /// Kept until the handle is closed, so that a callback needs no hold of its own.
    private var connection: TCPConnection?
    @exclusivity(unchecked) private var unowned: Unmanaged<TCPConnection>?
    private var onConnected: ((Int32) -> Void)?
    /// -1 once it is closed.
    @exclusivity(unchecked) private var descriptor: Int32
    /// Where the loop's sockets put what they read.
    private let readMemory: UnsafeMutableRawPointer
    /// Events that are waited for, and those that the poll looks for: a pause doesn't stop it before
    /// something has come. (`unchecked` as in `TCPConnection`.)
    @exclusivity(unchecked) private var wanted: Int32 = 0
    @exclusivity(unchecked) private var watched: Int32 = 0

    /// Takes over a non-blocking descriptor, which is closed with the handle, or when this fails.
    init(loop: Loop, descriptor: Int32) throws(NetworkError) {
        self.descriptor = descriptor
        readMemory = loop.scratch.read
        do {
            try super.init(loop: loop, type: UV_POLL)
            try check(uv_poll_init(loop.uv, poll, descriptor), "watching a socket")
        } catch {
            cuv_close(descriptor)
            throw error
        }
        cuv_no_signal(descriptor)
        register()
    }

    private var poll: UnsafeMutablePointer<uv_poll_t> {
        memory.assumingMemoryBound(to: uv_poll_t.self)
    }

    /// Ties the connection to its socket, once.
    func attach(_ connection: TCPConnection) {
        self.connection = connection
        unowned = Unmanaged.passUnretained(connection)
    }

    // MARK: Readiness

    /// Asks for events; returns libuv's status.
    private func want(_ events: Int32) -> Int32 {
        wanted |= events
        return wanted & ~watched == 0 ? 0 : watch()
    }

    private func watch() -> Int32 {
        guard !isClosing else { return 0 }
        watched = wanted
        if wanted == 0 { return uv_poll_stop(poll) }
        return uv_poll_start(poll, wanted) { handle, status, events in
            guard let data = handle?.pointee.data else { return }
            // The handle keeps its owner until it is closed, which never happens within a callback.
            Unmanaged<SocketHandle>.fromOpaque(data)._withUnsafeGuaranteedRef {
                $0.isReady(status, events)
            }
        }
    }

    private func isReady(_ status: Int32, _ events: Int32) {
        // After an error libuv has stopped the poll: the calls to the kernel tell what it is.
        if status < 0 { watched = 0 }
        let ready = status < 0 ? wanted : events
        let unwanted = ready & ~wanted
        if onConnected != nil { return finishConnecting() }
        if ready & wanted & Self.readable != 0 { receiveAll() }
        if ready & wanted & Self.writable != 0 {
            unowned?._withUnsafeGuaranteedRef { $0.sendQueued() }
        }
        if unwanted != 0 || wanted & ~watched != 0 { watchOn() }
    }

    private func watchOn() {
        let status = watch()
        if status < 0 { connection?.close(NetworkError(uv: status, "watching a socket")) }
    }

    // MARK: Connecting

    /// Runs `body` once, with the status of the connection attempt, or of its end.
    func whenConnected(_ body: @escaping (Int32) -> Void) {
        onConnected = body
        let status = want(Self.writable)
        if status < 0 {
            onConnected = nil
            body(status)
        }
    }

    private func finishConnecting() {
        let body = onConnected
        onConnected = nil
        wanted = 0
        _ = watch()
        body?(cuv_socket_error(descriptor))
    }

    // MARK: Reading

    func startReading() -> Int32 { want(Self.readable) }

    func stopReading() { wanted &= ~Self.readable }

    private func receiveAll() {
        for _ in 0..<Self.callsPerTurn {
            let count = cuv_receive(descriptor, readMemory, LoopScratch.readCapacity)
            unowned?._withUnsafeGuaranteedRef { finishReceiving(count, $0) }
            // What is behind a part that was not full is told by the next turn.
            if count < LoopScratch.readCapacity || wanted & Self.readable == 0 { return }
        }
    }

    @inline(__always)
    private func finishReceiving(_ count: Int, _ connection: TCPConnection) {
        if count > 0 {
            connection.received(UnsafeMutableRawBufferPointer(start: readMemory, count: count))
        } else if count == 0 {
            connection.reachedEnd()
        } else if count != Int(UV_EAGAIN.rawValue) {
            connection.close(NetworkError(uv: Int32(count), "reading from a connection"))
        }
    }

    // MARK: Writing

    /// Hands bytes to the kernel: returns how many it has taken, or a negative error.
    func send(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Int {
        if second.isEmpty || first.isEmpty {
            let piece = second.isEmpty ? first : second
            return piece.isEmpty ? 0 : cuv_send(descriptor, piece.baseAddress, piece.count)
        }
        return withUnsafeTemporaryAllocation(of: uv_buf_t.self, capacity: 2) { pieces in
            pieces[0] = Self.piece(first)
            pieces[1] = Self.piece(second)
            return cuv_send_pieces(descriptor, pieces.baseAddress, 2)
        }
    }

    /// Hands the front of the queue to the kernel; returns as ``send(_:_:)`` does.
    func send(_ queue: WriteQueue) -> Int {
        withUnsafeTemporaryAllocation(of: uv_buf_t.self, capacity: Self.piecesPerCall) { pieces in
            var count = 0
            queue.prefix(Self.piecesPerCall) { entry in
                let bytes = UnsafeRawBufferPointer(start: entry.base, count: entry.count)
                pieces[count] = Self.piece(bytes)
                count += 1
            }
            return cuv_send_pieces(descriptor, pieces.baseAddress, count)
        }
    }

    private static func piece(_ bytes: UnsafeRawBufferPointer) -> uv_buf_t {
        let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
        return uv_buf_t(base: base?.assumingMemoryBound(to: CChar.self), len: bytes.count)
    }

    /// Asks to be told when the kernel takes more.
    func startWriting() -> Int32 { want(Self.writable) }

    /// A socket that can be written would say so in each turn.
    func stopWriting() {
        wanted &= ~Self.writable
        watchOn()
    }

    /// Ends the sending side; returns a negative error when that fails.
    func endSending() -> Int32 { cuv_end_sending(descriptor) }

    // MARK: Options and addresses

    func setNoDelay(_ isOn: Bool) { cuv_no_delay(descriptor, isOn ? 1 : 0) }

    func setKeepAlive(after delay: Duration?) {
        let seconds = delay.map { Int32(clamping: max(1, $0.milliseconds / 1_000)) }
        cuv_keep_alive(descriptor, seconds ?? 0)
    }

    /// The peer's address, while the socket is open.
    var peerAddress: SocketAddress? { SocketAddress.peer(of: descriptor) }

    /// This side's address, while the socket is open.
    var localAddress: SocketAddress? { SocketAddress.local(of: descriptor) }

    // MARK: The end

    override func close() {
        if resetsOnClose { cuv_reset_on_close(descriptor) }
        super.close()
        cuv_close(descriptor)
        descriptor = -1
        wanted = 0
    }

    override func handleClosed() {
        let connection = connection
        self.connection = nil
        unowned = nil
        onConnected?(UV_ECANCELED.rawValue)
        onConnected = nil
        onClosed?()
        onClosed = nil
        connection?.finishedClose()
    }

    override func loopStops() {
        if let connection {
            connection.close(NetworkError(.closed, "the loop \(loop.name) was stopped"))
        } else {
            closeHandle()
        }
    }
}
