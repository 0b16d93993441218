#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// Wakes one waiting thread; a wake-up before the wait is not lost.
final class Signal: Sendable {
    // Safety: mutex and condition live as long as the signal and only POSIX touches them;
    // `isSet` is read and written under the mutex.
    private nonisolated(unsafe) let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(
        capacity: 1)
    // Safety: as above.
    private nonisolated(unsafe) let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(
        capacity: 1)
    // Safety: as above.
    private nonisolated(unsafe) let isSet = UnsafeMutablePointer<Bool>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        #if canImport(Darwin)
            pthread_cond_init(condition, nil)
        #else
            var attributes = pthread_condattr_t()
            pthread_condattr_init(&attributes)
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
            pthread_cond_init(condition, &attributes)
            pthread_condattr_destroy(&attributes)
        #endif
        isSet.initialize(to: false)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
        isSet.deallocate()
    }

    func set() {
        pthread_mutex_lock(mutex)
        isSet.pointee = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Waits until ``set()`` or, when given, until a time has passed.
    func wait(for limit: Duration?) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if let limit {
            waitTimed(limit)
        } else {
            while !isSet.pointee { pthread_cond_wait(condition, mutex) }
        }
        isSet.pointee = false
    }

    private func waitTimed(_ limit: Duration) {
        let (seconds, attoseconds) = limit.components
        var time = timespec(
            tv_sec: time_t(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        #if canImport(Darwin)
            if !isSet.pointee { pthread_cond_timedwait_relative_np(condition, mutex, &time) }
        #else
            var now = timespec()
            clock_gettime(CLOCK_MONOTONIC, &now)
            time.tv_sec += now.tv_sec
            time.tv_nsec += now.tv_nsec
            if time.tv_nsec >= 1_000_000_000 {
                time.tv_sec += 1
                time.tv_nsec -= 1_000_000_000
            }
            while !isSet.pointee {
                if pthread_cond_timedwait(condition, mutex, &time) != 0 { return }
            }
        #endif
    }
}

/// A thread that runs until its body returns, and can be waited for once.
struct WriterThread: Sendable {
    // Safety: a thread's handle is used by one `join`, which the owner's lock guards.
    private nonisolated(unsafe) var handle: pthread_t

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts a thread; nil when the system has no room for one.
    init?(_ run: @escaping @Sendable () -> Void) {
        let body = Unmanaged.passRetained(Body(run))
        #if canImport(Darwin)
            var thread: pthread_t?
            let result = pthread_create(&thread, nil, { Self.main($0) }, body.toOpaque())
            guard result == 0, let thread else {
                body.release()
                return nil
            }
            handle = thread
        #else
            var thread = pthread_t()
            guard pthread_create(&thread, nil, { Self.main($0) }, body.toOpaque()) == 0 else {
                body.release()
                return nil
            }
            handle = thread
        #endif
    }

    func join() { pthread_join(handle, nil) }

    private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let argument else { return nil }
        let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        body.run()
        return nil
    }
}
