import CLibUV

/// A timer of a loop, for use on the loop's thread only; resolution is one millisecond.
public final class LoopTimer {
    private let handle: TimerHandle

    /// Creates a timer that is not yet started.
    ///
    /// - Throws: ``NetworkError`` when the loop is stopped.
    public init(on loop: Loop, _ onFire: @escaping () -> Void) throws(NetworkError) {
        handle = try TimerHandle(loop: loop, onFire)
    }

    /// What runs when the time is over.
    public var onFire: () -> Void {
        get { handle.onFire }
        set { handle.onFire = newValue }
    }

    /// Starts or restarts the timer: first after `delay`, then each `interval` when that is given.
    public func start(after delay: Duration, every interval: Duration? = nil) {
        handle.start(after: delay, every: interval)
    }

    /// Whether it is started and its time not over.
    var isActive: Bool { handle.isActive }

    /// Stops the timer; it can be started again.
    public func stop() { handle.stop() }

    /// Stops the timer for good and lets go of its closure.
    public func close() {
        handle.onFire = {}
        handle.closeHandle()
    }

    deinit {
        // A timer dropped without `close()` on another thread must not touch libuv there.
        let handle = LoopBound(self.handle, on: self.handle.loop)
        self.handle.loop.onLoop {
            handle.value.onFire = {}
            handle.value.closeHandle()
        }
    }
}

private final class TimerHandle: LoopHandle {
    var onFire: () -> Void

    init(loop: Loop, _ onFire: @escaping () -> Void) throws(NetworkError) {
        self.onFire = onFire
        try super.init(loop: loop, type: UV_TIMER)
        try check(uv_timer_init(loop.uv, timer), "creating a timer")
        register()
    }

    private var timer: UnsafeMutablePointer<uv_timer_t> {
        memory.assumingMemoryBound(to: uv_timer_t.self)
    }

    func start(after delay: Duration, every interval: Duration?) {
        guard !isClosing else { return }
        let repeating = interval.map { max(1, $0.milliseconds) } ?? 0
        uv_timer_start(
            timer,
            { handle in LoopHandle.owner(of: handle, as: TimerHandle.self)?.onFire() },
            delay.milliseconds, repeating)
    }

    func stop() {
        if !isClosing { uv_timer_stop(timer) }
    }

    var isActive: Bool { !isClosing && uv_is_active(handle) != 0 }

    override func handleClosed() { onFire = {} }
}

extension Duration {
    /// Whole milliseconds, rounded up, never negative, as libuv's timers want them.
    var milliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let fraction = UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000)
        return overflow ? .max / 2 : min(whole + fraction, .max / 2)
    }
}
