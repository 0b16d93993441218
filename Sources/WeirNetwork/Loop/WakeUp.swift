import CLibUV

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

#if os(Linux)
    /// Wakes a loop from other threads through an eventfd.
    ///
    /// libuv 1.44's own `uv_async_send` took eight times as long between two busy threads.
    final class WakeUp: Sendable {
        private let descriptor: Int32
        // Safety: the handles are touched on the loop's thread only, or before it starts.
        nonisolated(unsafe) private let poll = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
        // Safety: as above.
        nonisolated(unsafe) private let prepare =
            UnsafeMutablePointer<uv_prepare_t>.allocate(capacity: 1)

        init() throws(NetworkError) {
            descriptor = cuv_eventfd()
            try check(descriptor, "creating a loop's wake-up descriptor")
        }

        /// Registers with the loop; the loop is kept alive by its thread, not by this.
        func attach(to loop: Loop) throws(NetworkError) {
            let context = Unmanaged.passUnretained(loop).toOpaque()
            try check(uv_poll_init(loop.uv, poll, descriptor), "watching a loop's wake-up")
            try check(uv_prepare_init(loop.uv, prepare), "preparing a loop")
            // Not `data`: the walk that stops a loop takes `data` for an owner.
            poll.pointee.data = nil
            prepare.pointee.data = nil
            loop.uv.pointee.data = context
            uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { handle, _, _ in
                guard let handle, let loop = WakeUp.loop(of: handle.pointee.loop) else { return }
                loop.clearWakeUp()
            }
            uv_prepare_start(prepare) { handle in
                guard let handle, let loop = WakeUp.loop(of: handle.pointee.loop) else { return }
                loop.turn()
            }
        }

        private static func loop(of uv: UnsafeMutablePointer<uv_loop_t>?) -> Loop? {
            guard let context = uv?.pointee.data else { return nil }
            return Unmanaged<Loop>.fromOpaque(context).takeUnretainedValue()
        }

        /// Wakes the loop; from any thread.
        func signal() {
            var one: UInt64 = 1
            _ = write(descriptor, &one, 8)
        }

        /// Takes back what `signal` wrote; on the loop's thread.
        func clear() {
            var count: UInt64 = 0
            _ = read(descriptor, &count, 8)
        }

        /// Lets the loop end when nothing else is open.
        func detach() {
            for handle in [UnsafeMutableRawPointer(poll), UnsafeMutableRawPointer(prepare)] {
                let handle = handle.assumingMemoryBound(to: uv_handle_t.self)
                if uv_is_closing(handle) == 0 { uv_close(handle, nil) }
            }
        }

        deinit {
            _ = close(descriptor)
            poll.deallocate()
            prepare.deallocate()
        }
    }
#else
    /// Wakes a loop from other threads through libuv's own means.
    final class WakeUp: Sendable {
        // Safety: the handles are touched on the loop's thread only, or before it starts;
        // `uv_async_send` may be called from any thread.
        nonisolated(unsafe) private let async =
            UnsafeMutablePointer<uv_async_t>.allocate(capacity: 1)
        // Safety: as above.
        nonisolated(unsafe) private let prepare =
            UnsafeMutablePointer<uv_prepare_t>.allocate(capacity: 1)

        init() throws(NetworkError) {}

        /// Registers with the loop; the loop is kept alive by its thread, not by this.
        func attach(to loop: Loop) throws(NetworkError) {
            loop.uv.pointee.data = Unmanaged.passUnretained(loop).toOpaque()
            let status = uv_async_init(loop.uv, async) { handle in
                guard let handle, let loop = WakeUp.loop(of: handle.pointee.loop) else { return }
                loop.clearWakeUp()
            }
            try check(status, "creating a loop's wake-up")
            try check(uv_prepare_init(loop.uv, prepare), "preparing a loop")
            async.pointee.data = nil
            prepare.pointee.data = nil
            uv_prepare_start(prepare) { handle in
                guard let handle, let loop = WakeUp.loop(of: handle.pointee.loop) else { return }
                loop.turn()
            }
        }

        private static func loop(of uv: UnsafeMutablePointer<uv_loop_t>?) -> Loop? {
            guard let context = uv?.pointee.data else { return nil }
            return Unmanaged<Loop>.fromOpaque(context).takeUnretainedValue()
        }

        /// Wakes the loop; from any thread.
        func signal() { uv_async_send(async) }

        /// Takes back what `signal` wrote; on the loop's thread.
        func clear() {}

        /// Lets the loop end when nothing else is open.
        func detach() {
            for handle in [UnsafeMutableRawPointer(async), UnsafeMutableRawPointer(prepare)] {
                let handle = handle.assumingMemoryBound(to: uv_handle_t.self)
                if uv_is_closing(handle) == 0 { uv_close(handle, nil) }
            }
        }

        deinit {
            async.deallocate()
            prepare.deallocate()
        }
    }
#endif
