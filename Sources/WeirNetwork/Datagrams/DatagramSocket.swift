import CLibUV

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A socket of datagrams, by UDP or in the file system, of one loop; used on the loop's thread only.
///
/// On Linux one system call reads many datagrams (recvmmsg), each into a slot of its own.
final class DatagramSocket: LoopHandle {
    /// No datagram of UDP is longer, and libuv wants slots of this size.
    private static let slotBytes = 64 * 1_024
    /// What libuv reads by one call at most.
    static let slotsMax = 20

    /// What one read has brought; valid during the call only.
    struct Datagram {
        let bytes: UnsafeRawBufferPointer
        /// Undefined where senders have none, in the file system.
        let sender: UnsafePointer<sockaddr>
        /// Whether it was longer than a slot.
        let isCut: Bool
    }

    var onDatagram: ((Datagram) -> Void)?
    /// All datagrams of one read have been given.
    var onReadEnd: (() -> Void)?
    var onError: ((NetworkError) -> Void)?
    private let slots: UnsafeMutableRawBufferPointer
    private var mayRead = false
    private var isReading = false
    private var isDelivering = false
    private var droppedBefore: Int64 = 0

    /// - Parameter slotCount: Datagrams that one read brings at most; 0 for a socket that only sends.
    init(loop: Loop, slotCount: Int) throws(NetworkError) {
        let slots = UnsafeMutableRawBufferPointer.allocate(
            byteCount: slotCount * Self.slotBytes, alignment: 64)
        self.slots = slots
        do throws(NetworkError) {
            try super.init(loop: loop, type: UV_UDP)
        } catch {
            slots.deallocate()
            throw error
        }
        // What is thrown from here on has `deinit` free the slots.
        let flags = slotCount > 1 ? UInt32(UV_UDP_RECVMMSG.rawValue) : 0
        try check(uv_udp_init_ex(loop.uv, udp, flags), "creating a socket of datagrams")
        register()
    }

    private var udp: UnsafeMutablePointer<uv_udp_t> {
        memory.assumingMemoryBound(to: uv_udp_t.self)
    }

    /// Takes over a descriptor, which is closed when that fails.
    func adopt(_ descriptor: Int32) throws(NetworkError) {
        let status = uv_udp_open(udp, descriptor)
        if status < 0 { cuv_close(descriptor) }
        try check(status, "taking over a socket of datagrams")
    }

    func bind(to address: SocketAddress) throws(NetworkError) {
        let status = address.withSockaddr { uv_udp_bind(udp, $0, 0) }
        try check(status, "listening on", "udp \(address)")
    }

    var localAddress: SocketAddress? {
        isClosing ? nil : SocketAddress.read { uv_udp_getsockname(udp, $0, $1) }
    }

    /// Asks for a receive buffer and returns what the kernel gives.
    func setReceiveBuffer(_ size: Int) throws(NetworkError) -> Int {
        var value = Int32(clamping: size)
        try check(
            uv_recv_buffer_size(handle, &value), "setting the buffer of a socket of datagrams")
        value = 0
        try check(
            uv_recv_buffer_size(handle, &value), "asking for the buffer of a socket of datagrams")
        return Int(value)
    }

    // MARK: Reading

    func resume() {
        mayRead = true
        if isReading || isClosing { return }
        isReading = true
        let status = uv_udp_recv_start(
            udp,
            { handle, _, buffer in
                guard let socket = LoopHandle.owner(of: handle, as: DatagramSocket.self) else {
                    return
                }
                let base = socket.slots.baseAddress
                buffer?.pointee.base = base?.assumingMemoryBound(to: CChar.self)
                buffer?.pointee.len = socket.slots.count
            },
            { handle, count, buffer, address, flags in
                LoopHandle.owner(of: handle, as: DatagramSocket.self)?
                    .received(count, buffer?.pointee.base, address, flags)
            })
        if status < 0 {
            isReading = false
            onError?(NetworkError(uv: status, "reading datagrams"))
        }
    }

    func pause() {
        mayRead = false
        // In the middle of a read libuv would throw away the rest of it.
        if !isDelivering { stop() }
    }

    private func stop() {
        guard isReading else { return }
        isReading = false
        if !isClosing { uv_udp_recv_stop(udp) }
    }

    private func received(
        _ count: Int, _ base: UnsafePointer<CChar>?, _ address: UnsafePointer<sockaddr>?,
        _ flags: UInt32
    ) {
        if count < 0 {
            onError?(NetworkError(uv: Int32(count), "reading datagrams"))
            return
        }
        let isOneOfMany = flags & UInt32(UV_UDP_MMSG_CHUNK.rawValue) != 0
        if let address {
            isDelivering = true
            onDatagram?(
                Datagram(
                    bytes: UnsafeRawBufferPointer(start: base, count: count), sender: address,
                    isCut: flags & UInt32(UV_UDP_PARTIAL.rawValue) != 0))
            if isOneOfMany { return }
        } else if flags & UInt32(UV_UDP_MMSG_FREE.rawValue) == 0 {
            // Nothing there any more.
            return
        }
        isDelivering = false
        onReadEnd?()
        if !mayRead { stop() }
    }

    /// Datagrams that the kernel has dropped since the last call, because its buffer was full.
    func takeDropped() -> Int {
        var descriptor: Int32 = -1
        guard !isClosing, uv_fileno(handle, &descriptor) == 0 else { return 0 }
        let dropped = cuv_dropped_datagrams(descriptor)
        if dropped < 0 { return 0 }
        // The kernel counts in 32 bits.
        defer { droppedBefore = dropped }
        return Int(UInt32(truncatingIfNeeded: dropped &- droppedBefore))
    }

    // MARK: Sending

    /// Sends a datagram now; false when the kernel has no room for it.
    func trySend(
        _ bytes: UnsafeRawBufferPointer, to destination: DatagramDestination
    ) throws(NetworkError) -> Bool {
        var buffer = uv_buf_t(
            base: UnsafeMutableRawPointer(mutating: bytes.baseAddress)?
                .assumingMemoryBound(to: CChar.self), len: bytes.count)
        let status = destination.withSockaddr { uv_udp_try_send(udp, &buffer, 1, $0) }
        if status == UV_EAGAIN.rawValue || status == UV_ENOBUFS.rawValue { return false }
        try destination.check(status, "sending to")
        return true
    }

    /// Sends a datagram to what the socket is connected to once the kernel has room for it.
    ///
    /// - Parameter done: Gets libuv's status.
    func sendLater(_ bytes: ArraySlice<UInt8>, _ done: @escaping (Int32) -> Void) {
        let request = LaterDatagram(bytes, done)
        var buffer = request.buffer
        request.pointer.pointee.data = Unmanaged.passRetained(request).toOpaque()
        let status = uv_udp_send(request.pointer, udp, &buffer, 1, nil) { pointer, status in
            guard let data = pointer?.pointee.data else { return }
            // Safety: it was retained for this call.
            Unmanaged<LaterDatagram>.fromOpaque(data).takeRetainedValue().done(status)
        }
        if status < 0 {
            // Safety: the call that would have released it does not come.
            Unmanaged.passUnretained(request).release()
            done(status)
        }
    }

    override func handleClosed() {
        onDatagram = nil
        onReadEnd = nil
        onError = nil
    }

    deinit { slots.deallocate() }
}

/// A datagram that waits for room, with the memory libuv needs until then.
private final class LaterDatagram {
    let done: (Int32) -> Void
    // Safety: both are owned by this object, which libuv's request holds until its callback.
    let pointer = UnsafeMutablePointer<uv_udp_send_t>.allocate(capacity: 1)
    private let bytes: UnsafeMutableBufferPointer<UInt8>

    init(_ bytes: ArraySlice<UInt8>, _ done: @escaping (Int32) -> Void) {
        self.done = done
        self.bytes = .allocate(capacity: bytes.count)
        _ = self.bytes.initialize(from: bytes)
    }

    var buffer: uv_buf_t {
        uv_buf_t(
            base: bytes.baseAddress.map { UnsafeMutableRawPointer($0) }?
                .assumingMemoryBound(to: CChar.self), len: bytes.count)
    }

    deinit {
        pointer.deallocate()
        bytes.deallocate()
    }
}
