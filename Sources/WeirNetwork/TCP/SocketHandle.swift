import CLibUV

/// The libuv side of a TCP connection: the handle, its requests and the C callbacks.
final class SocketHandle: LoopHandle {
    /// Buffers given to one write request.
    private static let buffersPerWrite = 64

    var connection: TCPConnection?
    /// Where the loop's sockets put what they read.
    private let readMemory: UnsafeMutableRawPointer
    var resetsOnClose = false
    var onClosed: (() -> Void)?
    private var writeRequest: UnsafeMutablePointer<uv_write_t>?
    private var shutdownRequest: UnsafeMutablePointer<uv_shutdown_t>?
    private var bytesInRequest = 0

    init(loop: Loop) throws(NetworkError) {
        readMemory = loop.scratch.read
        try super.init(loop: loop, type: UV_TCP)
        try check(uv_tcp_init(loop.uv, tcp), "creating a socket")
        register()
    }

    var tcp: UnsafeMutablePointer<uv_tcp_t> { memory.assumingMemoryBound(to: uv_tcp_t.self) }
    private var stream: UnsafeMutablePointer<uv_stream_t> {
        memory.assumingMemoryBound(to: uv_stream_t.self)
    }

    func startReading() -> Int32 {
        uv_read_start(
            stream,
            { handle, _, buffer in
                guard let data = handle?.pointee.data else { return }
                // Not `owner(of:)`: for one read of a constant nothing has to be retained.
                let memory = Unmanaged<SocketHandle>.fromOpaque(data)._withUnsafeGuaranteedRef {
                    $0.readMemory
                }
                buffer?.pointee.base = memory.assumingMemoryBound(to: CChar.self)
                buffer?.pointee.len = LoopScratch.readCapacity
            },
            { handle, count, _ in
                LoopHandle.owner(of: handle, as: SocketHandle.self)?.finishedRead(count)
            })
    }

    private func finishedRead(_ count: Int) {
        guard let connection else { return }
        if count > 0 {
            connection.received(
                UnsafeMutableRawBufferPointer(start: readMemory, count: count))
        } else if count == Int(UV_EOF.rawValue) {
            connection.reachedEnd()
        } else if count < 0 {
            connection.close(NetworkError(uv: Int32(count), "reading from a connection"))
        }
    }

    func stopReading() {
        if !isClosing { uv_read_stop(stream) }
    }

    func tryWrite(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Int32 {
        if second.isEmpty || first.isEmpty {
            var piece = Self.buffer(second.isEmpty ? first : second)
            return piece.len == 0 ? 0 : uv_try_write(stream, &piece, 1)
        }
        return withUnsafeTemporaryAllocation(of: uv_buf_t.self, capacity: 2) { buffers in
            buffers[0] = Self.buffer(first)
            buffers[1] = Self.buffer(second)
            return uv_try_write(stream, buffers.baseAddress, 2)
        }
    }

    private static func buffer(_ bytes: UnsafeRawBufferPointer) -> uv_buf_t {
        buffer(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
    }

    private static func buffer(_ base: UnsafeMutableRawPointer?, _ count: Int) -> uv_buf_t {
        uv_buf_t(base: base?.assumingMemoryBound(to: CChar.self), len: count)
    }

    /// Starts one request with the front of the queue, which must stay until it is done.
    func write(_ queue: inout WriteQueue) -> Int32 {
        let request = writeRequest ?? .allocate(capacity: 1)
        writeRequest = request
        request.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        return withUnsafeTemporaryAllocation(
            of: uv_buf_t.self, capacity: Self.buffersPerWrite
        ) { buffers in
            var count = 0
            var bytes = 0
            queue.prefix(Self.buffersPerWrite) { entry in
                buffers[count] = Self.buffer(entry.base, entry.count)
                count += 1
                bytes += entry.count
            }
            bytesInRequest = bytes
            return uv_write(request, stream, buffers.baseAddress, UInt32(count)) {
                request, status in
                guard let data = request?.pointee.data else { return }
                let socket = Unmanaged<SocketHandle>.fromOpaque(data).takeUnretainedValue()
                socket.finishedWrite(status)
            }
        }
    }

    private func finishedWrite(_ status: Int32) {
        let count = bytesInRequest
        bytesInRequest = 0
        connection?.finishedWrite(status, count)
        if connection?.isWriting != true {
            writeRequest?.deallocate()
            writeRequest = nil
        }
    }

    /// Bytes of the write under way that the kernel has taken.
    var takenOfWrite: Int {
        bytesInRequest == 0 ? 0 : bytesInRequest - Int(uv_stream_get_write_queue_size(stream))
    }

    func shutdown() -> Int32 {
        let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
        shutdownRequest = request
        request.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        return uv_shutdown(request, stream) { request, status in
            guard let data = request?.pointee.data else { return }
            let socket = Unmanaged<SocketHandle>.fromOpaque(data).takeUnretainedValue()
            socket.connection?.finishedShutdown(status)
        }
    }

    func setNoDelay(_ isOn: Bool) {
        if !isClosing { uv_tcp_nodelay(tcp, isOn ? 1 : 0) }
    }

    func setKeepAlive(after delay: Duration?) {
        guard !isClosing else { return }
        let seconds = UInt32(clamping: max(1, (delay ?? .seconds(60)).milliseconds / 1_000))
        uv_tcp_keepalive(tcp, delay == nil ? 0 : 1, seconds)
    }

    func address(
        _ ask: (
            UnsafePointer<uv_tcp_t>, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<Int32>
        )
            -> Int32
    ) -> SocketAddress? {
        isClosing ? nil : SocketAddress.read { ask(tcp, $0, $1) }
    }

    override func close() {
        if resetsOnClose {
            let status = uv_tcp_close_reset(tcp, LoopHandle.closeCallback)
            if status == 0 { return }
        }
        super.close()
    }

    override func handleClosed() {
        writeRequest?.deallocate()
        shutdownRequest?.deallocate()
        let connection = connection
        self.connection = nil
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
