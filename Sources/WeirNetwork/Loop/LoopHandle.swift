import CLibUV

/// The owner of one libuv handle: its memory, its life until the close callback, its loop.
///
/// The handle holds a strong reference to its owner from `register()` until libuv has let go of the
/// memory, so an open connection or timer needs nobody else to keep it alive.
class LoopHandle {
    let loop: Loop
    let memory: UnsafeMutableRawPointer
    private(set) var isClosing = false

    /// Allocates the memory; the subclass then calls libuv's init and `register()`.
    init(loop: Loop, type: uv_handle_type) throws(NetworkError) {
        loop.preconditionOnLoop()
        if loop.isStopped {
            throw NetworkError(.closed, "the loop \(loop.name) is stopped; use one that runs")
        }
        self.loop = loop
        self.memory = .allocate(byteCount: uv_handle_size(type), alignment: 16)
    }

    var handle: UnsafeMutablePointer<uv_handle_t> {
        memory.assumingMemoryBound(to: uv_handle_t.self)
    }

    /// Ties the handle to this object; every handle of a loop must be registered.
    func register() {
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    /// Closes the handle once; the memory goes after libuv's close callback.
    func closeHandle() {
        guard !isClosing else { return }
        isClosing = true
        close()
    }

    /// Asks libuv to close the handle; a subclass may know a better way.
    func close() { uv_close(handle, Self.closeCallback) }

    static let closeCallback: uv_close_cb = { handle in
        guard let handle, let data = handle.pointee.data else { return }
        Unmanaged<LoopHandle>.fromOpaque(data).takeRetainedValue().handleClosed()
    }

    /// Runs when libuv has let go of the handle.
    func handleClosed() {}

    /// Runs when the loop stops: the handle has to close.
    func loopStops() { closeHandle() }

    /// Finds the owner of a handle that libuv gives to a callback.
    static func owner<Handle, Owner: LoopHandle>(
        of handle: UnsafeMutablePointer<Handle>?, as type: Owner.Type = Owner.self
    ) -> Owner? {
        guard let handle else { return nil }
        let base = UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)
        guard let data = base.pointee.data else { return nil }
        // The cast is by construction: each callback is registered by the class it names.
        return Unmanaged<Owner>.fromOpaque(data).takeUnretainedValue()
    }

    deinit { memory.deallocate() }
}
