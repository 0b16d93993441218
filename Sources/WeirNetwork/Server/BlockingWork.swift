import CLibUV

/// Work that may block, done on libuv's own threads for a loop.
enum BlockingWork {
    private final class Job {
        let work: @Sendable () -> Void
        let done: () -> Void

        init(_ work: @escaping @Sendable () -> Void, _ done: @escaping () -> Void) {
            self.work = work
            self.done = done
        }
    }

    private final class Place<Value: Sendable>: Sendable {
        // Safety: written by the one worker, read on the loop after libuv has handed it back.
        nonisolated(unsafe) var value: Value?
    }

    /// Runs `work` on a thread of libuv's, then `done` on the loop; to be called on the loop.
    static func run<Value: Sendable>(
        on loop: Loop, _ work: @escaping @Sendable () -> Value,
        _ done: @escaping (Value?) -> Void
    ) {
        loop.preconditionOnLoop()
        let place = Place<Value>()
        let job = Job {
            place.value = work()
        } _: {
            done(place.value)
        }
        let request = UnsafeMutablePointer<uv_work_t>.allocate(capacity: 1)
        request.pointee.data = Unmanaged.passRetained(job).toOpaque()
        let status = uv_queue_work(
            loop.uv, request,
            { request in
                guard let data = request?.pointee.data else { return }
                Unmanaged<Job>.fromOpaque(data).takeUnretainedValue().work()
            },
            { request, _ in
                guard let request, let data = request.pointee.data else { return }
                let job = Unmanaged<Job>.fromOpaque(data).takeRetainedValue()
                request.deallocate()
                job.done()
            })
        if status < 0 {
            Unmanaged.passUnretained(job).release()
            request.deallocate()
            done(nil)
        }
    }
}
