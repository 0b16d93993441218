import CLibUV

/// A TCP connection that belongs to one loop and is used on that loop's thread only.
///
/// Reads go into a buffer that all connections of the loop share, so an idle connection holds no
/// buffer. Writes go straight to the kernel; what it does not take waits in a bounded queue.
public final class TCPConnection {
    // `exclusivity(unchecked)`: to look that up took 2 % of an echo. Each access is over before other code runs that
    // might touch the same property.

    /// The loop that owns the connection.
    public let loop: Loop
    /// What gets the bytes and the events; the connection keeps it until it is closed.
    @exclusivity(unchecked) public var handler: (any TCPConnectionHandler)?
    /// Bytes that may wait for the kernel before writes are refused; 1 MiB by default.
    public var writeLimit = TCPConnection.defaultWriteLimit
    /// Bytes received so far.
    @exclusivity(unchecked) public internal(set) var receivedByteCount = 0
    /// Bytes that the kernel has taken so far.
    @exclusivity(unchecked) public internal(set) var sentByteCount = 0

    /// The default of ``writeLimit``: 1 MiB.
    public static let defaultWriteLimit = 1_024 * 1_024

    enum Phase { case open, flushing, lingering, closed }

    let socket: SocketHandle
    /// Where the loop's corked connection gathers its writes.
    let cork: UnsafeMutablePointer<Cork>
    @exclusivity(unchecked) var phase = Phase.open
    @exclusivity(unchecked) var queue = WriteQueue()
    @exclusivity(unchecked) var isWriting = false
    @exclusivity(unchecked) var mustReportDrained = false
    @exclusivity(unchecked) var hasReachedEnd = false
    var failure: NetworkError?
    /// Tells the owner of all connections that this one is closed.
    var onFinished: (() -> Void)?
    /// Where the server counts bytes.
    @exclusivity(unchecked) var counters: ServerCounterCells?
    /// The encryption; nil for a plain connection.
    @exclusivity(unchecked) var tls: TLSLayer?
    /// What the TLS handshake has agreed on; nil for a plain connection.
    public internal(set) var tlsInfo: TLSInfo?
    /// Who the peer is by access control, and what it may bring; nil without.
    @exclusivity(unchecked) var access: ConnectionAccess?
    @exclusivity(unchecked) private var held: UnsafeMutableRawBufferPointer?
    @exclusivity(unchecked) private var heldOffset = 0
    @exclusivity(unchecked) var isDelivering = false
    @exclusivity(unchecked) private var resumeCount = 0
    @exclusivity(unchecked) private var isSocketReading = false
    private(set) var timer: LoopTimer?
    @exclusivity(unchecked) private(set) var lastReadAt: UInt64 = 0

    init(socket: SocketHandle) {
        self.loop = socket.loop
        self.socket = socket
        cork = socket.loop.scratch.cork
        lastReadAt = loop.now
        pausedAt = loop.now
        socket.attach(self)
    }

    // MARK: Reading

    /// Whether reading is paused, by ``pauseReading()`` or by a handler that was full.
    @exclusivity(unchecked) public private(set) var isReadingPaused = true {
        didSet {
            if isReadingPaused == oldValue { return }
            if isReadingPaused {
                pausedAt = loop.now
            } else {
                pausedTime += loop.now - pausedAt
            }
        }
    }
    /// When reading was paused, and how long it was before that, in the loop's milliseconds.
    @exclusivity(unchecked) private var pausedAt: UInt64
    @exclusivity(unchecked) private var pausedTime: UInt64 = 0

    /// A clock of milliseconds that stands still while reading is paused.
    var readingTime: UInt64 { (isReadingPaused ? pausedAt : loop.now) - pausedTime }

    /// Bytes held back for a handler that was full; at most one read buffer (64 KiB).
    ///
    /// With TLS as much again may wait to be decrypted.
    public var heldByteCount: Int { (held?.count ?? 0) - heldOffset + (tls?.heldByteCount ?? 0) }

    /// Stops reading the socket: the peer's data stays in the kernel, and its sends will block.
    public func pauseReading() {
        loop.preconditionOnLoop()
        isReadingPaused = true
        stopSocket()
    }

    /// Starts or continues reading: first the bytes held back, then the socket.
    public func resumeReading() {
        loop.preconditionOnLoop()
        resumeCount &+= 1
        isReadingPaused = false
        if !isDelivering { goOn() }
    }

    /// Offers what is held, then reads the socket, unless somebody pauses.
    func goOn() {
        offerHeld()
        if let tls, tls.hasMore { decryptHeld(tls) }
        if phase == .open, !isReadingPaused { startSocket() }
    }

    func offerHeld() {
        while phase == .open, !isReadingPaused, let held {
            deliver(UnsafeMutableRawBufferPointer(rebasing: held[heldOffset...]), isHeld: true)
        }
    }

    /// Offers all that is held, however often the handler says that it is full, and reads no more.
    ///
    /// For a handler that ends: it takes what has been read, or it is lost.
    func offerLast() {
        loop.preconditionOnLoop()
        if isDelivering { return }
        // Each round uses a byte at least.
        var rounds = 0
        while phase == .open, held != nil || tls?.hasMore == true, rounds < Self.roundsMax {
            rounds += 1
            isReadingPaused = false
            offerHeld()
            if let tls, tls.hasMore { decryptHeld(tls) }
        }
        if phase == .open { pauseReading() }
    }

    private static let roundsMax = 4 * LoopScratch.readCapacity

    /// Runs a handler's user; pauses when it is full, unless it was resumed meanwhile.
    func pausing(_ body: () throws -> Flow) rethrows -> Flow {
        let before = resumeCount
        if try body() == .stop, resumeCount == before { pauseReading() }
        return isReadingPaused ? .stop : .proceed
    }

    func startSocket() {
        guard !isSocketReading, phase != .closed, !hasReachedEnd else { return }
        isSocketReading = true
        let status = socket.startReading()
        if status < 0 { close(NetworkError(uv: status, "reading from a connection")) }
    }

    func stopSocket() {
        guard isSocketReading else { return }
        isSocketReading = false
        socket.stopReading()
    }

    /// Runs for each read of the socket.
    func received(_ bytes: UnsafeMutableRawBufferPointer) {
        receivedByteCount += bytes.count
        counters?.bytesIn.add(bytes.count)
        lastReadAt = loop.now
        guard phase == .open else { return }
        if let tls {
            received(bytes, tls)
            return
        }
        deliver(bytes, isHeld: false)
        goOn()
    }

    func deliver(_ bytes: UnsafeMutableRawBufferPointer, isHeld: Bool) {
        isDelivering = true
        corked {
            // One hold of the handler for all its calls: each is a reference count.
            var current = handler
            let used = offer(bytes, to: &current)
            if phase != .open || used == bytes.count {
                if isHeld { dropHeld() }
            } else {
                isReadingPaused = true
                stopSocket()
                if isHeld { heldOffset += used } else { hold(bytes, from: used) }
            }
            if handler !== current { current = handler }
            current?.connectionReceivedAll(self)
        }
        isDelivering = false
    }

    /// Offers bytes until they are used up or the handler is full; returns how many are used.
    private func offer(
        _ bytes: UnsafeMutableRawBufferPointer, to current: inout (any TCPConnectionHandler)?
    ) -> Int {
        var used = 0
        while used < bytes.count, phase == .open, let receiver = current {
            let before = resumeCount
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[used...])
            let taken = receiver.connection(self, received: rest)
            precondition((0...rest.count).contains(taken), "more bytes used than were offered")
            used += taken
            let wasReplaced = handler !== receiver
            if wasReplaced { current = handler }
            if taken < rest.count, !wasReplaced, resumeCount == before { break }
        }
        return used
    }

    private func hold(_ bytes: UnsafeMutableRawBufferPointer, from used: Int) {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: rest.count, alignment: 16)
        copy.copyMemory(from: rest)
        held = copy
        heldOffset = 0
    }

    private func dropHeld() {
        held?.deallocate()
        held = nil
        heldOffset = 0
    }

    func reachedEnd() {
        if let tls, phase == .open {
            close(tls.truncation)
            return
        }
        reportEnd()
    }

    /// The peer sends nothing more.
    func reportEnd() {
        hasReachedEnd = true
        stopSocket()
        switch phase {
        case .open: handler?.connectionReachedEnd(self)
        case .lingering: close()
        case .flushing, .closed: break
        }
    }

    // MARK: Idle time

    /// Time without received bytes after which `connectionIdled` runs; `nil`, the default, is never.
    ///
    /// Time during which reading is paused does not count.
    public var idleTimeout: Duration? {
        didSet {
            guard phase == .open else { return }
            if let idleTimeout {
                armTimer(after: idleTimeout) { [unowned(unsafe) self] in checkIdle() }
            } else {
                timer?.stop()
            }
        }
    }

    private func checkIdle() {
        guard phase == .open, let idleTimeout else { return }
        let limit = idleTimeout.milliseconds
        let quiet = isReadingPaused ? 0 : loop.now - lastReadAt
        if quiet >= limit { handler?.connectionIdled(self) }
        if phase == .open {
            timer?.start(after: .milliseconds(quiet >= limit ? limit : limit - quiet))
        }
    }

    func armTimer(after delay: Duration, _ body: @escaping () -> Void) {
        do {
            if let timer {
                timer.onFire = body
            } else {
                timer = try LoopTimer(on: loop, body)
            }
            timer?.start(after: delay)
        } catch {
            close(error)
        }
    }

    // MARK: Closing

    /// Closes at once and drops bytes that still wait; `connectionClosed` follows soon.
    public func close(_ error: NetworkError? = nil) {
        loop.preconditionOnLoop()
        guard phase != .closed else { return }
        let wasOpen = phase == .open
        phase = .closed
        failure = error ?? failure
        if error == nil, wasOpen, let tls { sendLastClose(tls) }
        if isCorked { cork.pointee.count = 0 }
        isSocketReading = false
        timer?.close()
        timer = nil
        socket.closeHandle()
    }

    /// Closes at once with a reset (RST) instead of an orderly end.
    public func reset() {
        loop.preconditionOnLoop()
        guard phase != .closed else { return }
        socket.resetsOnClose = true
        close()
    }

    /// Writes what waits, ends the sending side, waits for the peer's end, then closes.
    ///
    /// What the peer still sends is read and thrown away, so that a last message of ours is not
    /// lost to a reset. After `deadline` the connection closes whatever has happened.
    public func closeGracefully(within deadline: Duration = .seconds(2)) {
        leave { finishSending(within: deadline) }
    }

    /// Closes as ``closeGracefully(within:)`` does, when the peer has taken what is queued, or takes
    /// nothing for this long.
    func closeWhenTaken(orStuckFor pause: Duration) {
        leave {
            finishSending(within: pause)
            var seen = sentByteCount
            timer?.onFire = { [unowned(unsafe) self] in
                guard phase == .flushing, sentByteCount > seen else { return close() }
                seen = sentByteCount
                timer?.start(after: pause)
            }
        }
    }

    private func leave(_ body: () -> Void) {
        loop.preconditionOnLoop()
        guard phase == .open else { return }
        flushCork()
        guard phase == .open else { return }
        if tls?.isHandshaking == true { close() } else { body() }
    }

    /// Lets what waits go out, then ends the sending side.
    func finishSending(within deadline: Duration) {
        phase = .flushing
        armTimer(after: deadline) { [unowned(unsafe) self] in close() }
        if isQueueEmpty { endSending() }
    }

    /// Everything is written: ends the sending side and discards what still comes.
    func endSending() {
        guard phase == .flushing else { return }
        if let tls, !tls.isHandshaking {
            tls.engine.sendClose()
            flushCipher()
            // Runs again when the kernel has it.
            guard phase == .flushing, queue.isEmpty else { return }
        }
        phase = .lingering
        if socket.endSending() < 0 || hasReachedEnd { close() } else { startSocket() }
    }

    /// Runs when libuv has let go of the socket.
    func finishedClose() {
        dropHeld()
        queue.removeAll()
        tls = nil
        let handler = handler
        self.handler = nil
        handler?.connectionClosed(self, error: failure)
        onFinished?()
        onFinished = nil
    }

    func countSent(_ count: Int) {
        sentByteCount += count
        counters?.bytesOut.add(count)
    }

    // MARK: Facts

    /// The peer's address, while the connection is open.
    public var remoteAddress: SocketAddress? { socket.peerAddress }

    /// This side's address, while the connection is open.
    public var localAddress: SocketAddress? { socket.localAddress }

    /// Whether the connection is open in both directions as far as this side knows.
    public var isOpen: Bool { phase == .open }

    /// Sends small writes at once (no Nagle); on by default for accepted and made connections.
    public func setNoDelay(_ isOn: Bool) { socket.setNoDelay(isOn) }

    /// Lets the kernel probe a quiet peer after `delay`; `nil` turns it off.
    public func setKeepAlive(after delay: Duration?) { socket.setKeepAlive(after: delay) }

    deinit { held?.deallocate() }
}
