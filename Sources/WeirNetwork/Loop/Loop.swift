import CLibUV
import Synchronization
package import WeirCore

/// An event loop (libuv) on a thread of its own that is also a Swift executor.
///
/// Sockets and timers of the network layer belong to one loop and are used on its thread only. An
/// actor whose `unownedExecutor` is a loop runs on that thread too, so it reads a socket without a
/// change of thread:
///
/// ```swift
/// actor Connection {
///     let loop: Loop
///     nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
/// }
/// ```
///
/// A hop onto a loop from another thread costs about 10 µs: cross it once per batch. The queue of
/// jobs has no bound of its own, because an executor may not refuse a job; what feeds it has one.
public final class Loop: SerialExecutor {
    /// The loop's name, for logs and errors.
    public let name: String

    // Safety: libuv's loop is touched only on the loop's thread once `init` has returned.
    nonisolated(unsafe) let uv: UnsafeMutablePointer<uv_loop_t>
    // Safety: used only on the loop's thread.
    nonisolated(unsafe) let scratch: LoopScratch
    /// The stages that this turn's reads have brought something; used on the loop's thread only.
    package var wakeUps: ConsumerWakeUps { scratch.wakeUps }

    private let wakeUp: WakeUp
    private let queue = Mutex(Queue())
    private let owner = Atomic<UInt>(0)

    enum Work: Sendable {
        case job(UnownedJob)
        case closure(@Sendable () -> Void)
    }

    private struct Queue {
        var pending: [Work] = []
        var isWakePending = false
        var phase = Phase.running
        var isLateDrainRunning = false
        var stopWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private enum Phase { case running, stopping, stopped }

    /// Starts a loop on a new thread.
    ///
    /// - Throws: ``NetworkError`` when the system has no descriptors or threads left.
    public init(name: String = "weir-loop") throws(NetworkError) {
        self.name = name
        let uv = UnsafeMutablePointer<uv_loop_t>.allocate(capacity: 1)
        let status = uv_loop_init(uv)
        if status < 0 {
            uv.deallocate()
            throw NetworkError(uv: status, "starting the loop", name)
        }
        self.uv = uv
        self.scratch = LoopScratch()
        self.wakeUp = try WakeUp()
        try wakeUp.attach(to: self)
        try startThread()
    }

    /// The loop that is used where none is named; started at its first use, never stopped.
    ///
    /// - Throws: ``NetworkError`` when the system has no descriptors or threads left.
    public static func shared() throws(NetworkError) -> Loop {
        try sharedLoop.get()
    }

    private static let sharedLoop: Result<Loop, NetworkError> = Result { () throws(NetworkError) in
        try Loop(name: "weir-loop-shared")
    }

    // MARK: Running work

    /// Runs a closure on the loop's thread, soon, in the order of the calls of one thread.
    public func execute(_ body: @escaping @Sendable () -> Void) {
        append(.closure(body))
    }

    /// Runs a closure on the loop's thread: now when the caller is on it, else soon.
    public func onLoop(_ body: @escaping @Sendable () -> Void) {
        if isOnLoop { body() } else { execute(body) }
    }

    /// Runs a closure on the loop's thread and returns its result.
    public func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            execute { continuation.resume(with: Result(catching: body)) }
        }
    }

    /// Takes a job of the Swift runtime; called by the runtime only.
    public func enqueue(_ job: consuming ExecutorJob) {
        append(.job(UnownedJob(job)))
    }

    /// This loop as an actor's executor.
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    // MARK: Where am I

    /// Whether the caller is on the loop's thread.
    public var isOnLoop: Bool { owner.load(ordering: .relaxed) == currentThread() }

    /// Traps when the caller is not on the loop's thread.
    public func preconditionOnLoop() {
        precondition(isOnLoop, "this must be called on the thread of loop \(name)")
    }

    /// Traps when the caller is not on the loop's thread; called by the runtime.
    public func checkIsolated() { preconditionOnLoop() }

    /// Whether the caller runs isolated to this loop; called by the runtime.
    public func isIsolatingCurrentContext() -> Bool? { isOnLoop }

    /// The loop's own clock in milliseconds, read once per turn of the loop.
    var now: UInt64 { uv_now(uv) }

    /// Whether the loop has stopped or is about to.
    var isStopped: Bool { queue.withLock { $0.phase != .running } }

    // MARK: Stopping

    /// Closes every socket and timer of the loop, ends its thread and waits for that.
    ///
    /// Must not be called on the loop's own thread. Jobs of actors that come later run on a
    /// short-lived thread, so that nobody who awaits such an actor hangs.
    public func stop() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let (resumeNow, wake) = queue.withLock { queue -> (Bool, Bool) in
                switch queue.phase {
                case .stopped: return (true, false)
                case .stopping:
                    queue.stopWaiters.append(continuation)
                    return (false, false)
                case .running:
                    queue.phase = .stopping
                    queue.stopWaiters.append(continuation)
                    let wake = !queue.isWakePending
                    queue.isWakePending = true
                    return (false, wake)
                }
            }
            if wake { wakeUp.signal() }
            if resumeNow { continuation.resume() }
        }
    }

    // MARK: The thread

    private func startThread() throws(NetworkError) {
        var thread = uv_thread_t()
        let box = Unmanaged.passRetained(self)
        let status = uv_thread_create(
            &thread,
            { context in
                guard let context else { return }
                Unmanaged<Loop>.fromOpaque(context).takeRetainedValue().threadMain()
            }, box.toOpaque())
        if status < 0 {
            box.release()
            throw NetworkError(uv: status, "starting the thread of loop", name)
        }
        // Nobody waits by the thread's handle: `stop()` waits for the end of `threadMain`.
        detachThread(thread)
    }

    private func threadMain() {
        blockBrokenPipeSignal()
        owner.store(currentThread(), ordering: .relaxed)
        uv_run(uv, UV_RUN_DEFAULT)
        uv_loop_close(uv)
        wakeUps.wakeAll()
        owner.store(0, ordering: .relaxed)
        let waiters = queue.withLock { queue in
            queue.phase = .stopped
            queue.isWakePending = true
            defer { queue.stopWaiters = [] }
            return queue.stopWaiters
        }
        drainLate(isNewThread: false)
        for waiter in waiters { waiter.resume() }
    }

    /// Runs on the loop's thread after a wake-up and before each wait for I/O.
    func turn() {
        wakeUps.wakeAll()
        drain()
        if queue.withLock({ $0.phase == .stopping }) { closeEverything() }
    }

    /// Runs on the loop's thread when another thread has woken it; `turn` follows at once.
    func clearWakeUp() {
        wakeUp.clear()
        queue.withLock { $0.isWakePending = false }
    }

    private func closeEverything() {
        uv_walk(
            uv,
            { handle, _ in
                guard let handle, uv_is_closing(handle) == 0 else { return }
                LoopHandle.owner(of: handle, as: LoopHandle.self)?.loopStops()
            }, nil)
        wakeUp.detach()
    }

    private func append(_ work: Work) {
        let onLoop = isOnLoop
        enum Next { case nothing, wake, drainLate }
        let next = queue.withLock { queue -> Next in
            queue.pending.append(work)
            if queue.phase == .stopped {
                if queue.isLateDrainRunning { return .nothing }
                queue.isLateDrainRunning = true
                return .drainLate
            }
            // On the loop's own thread the queue is drained before the next wait anyway.
            if onLoop || queue.isWakePending { return .nothing }
            queue.isWakePending = true
            return .wake
        }
        switch next {
        case .nothing: break
        case .wake: wakeUp.signal()
        case .drainLate: startLateDrain()
        }
    }

    /// Rounds of one drain before sockets get their turn again.
    private static let roundsPerTurn = 16
    /// A batch array larger than this is given back after use.
    private static let keptJobs = 4_096

    private func drain() {
        for _ in 0..<Self.roundsPerTurn {
            guard runPending() else { return }
        }
        let wake = queue.withLock { queue -> Bool in
            if queue.pending.isEmpty || queue.isWakePending { return false }
            queue.isWakePending = true
            return true
        }
        if wake { wakeUp.signal() }
    }

    /// Runs what is queued now; false when there was nothing.
    private func runPending() -> Bool {
        var batch = scratch.takeJobs()
        queue.withLock { swap(&$0.pending, &batch) }
        defer {
            batch.removeAll(keepingCapacity: batch.capacity <= Self.keptJobs)
            scratch.giveBack(jobs: batch)
        }
        if batch.isEmpty { return false }
        let executor = asUnownedSerialExecutor()
        for work in batch {
            switch work {
            case .job(let job): job.runSynchronously(on: executor)
            case .closure(let body): body()
            }
        }
        wakeUps.wakeAll()
        return true
    }

    // MARK: After the stop

    private func startLateDrain() {
        var thread = uv_thread_t()
        let box = Unmanaged.passRetained(self)
        let status = uv_thread_create(
            &thread,
            { context in
                guard let context else { return }
                Unmanaged<Loop>.fromOpaque(context).takeRetainedValue().drainLate(isNewThread: true)
            }, box.toOpaque())
        if status < 0 {
            // Without a thread the caller has to do it; better than a job that never runs.
            box.release()
            drainLate(isNewThread: true)
            return
        }
        detachThread(thread)
    }

    private func drainLate(isNewThread: Bool) {
        if !isNewThread {
            let isMine = queue.withLock { queue -> Bool in
                defer { queue.isLateDrainRunning = true }
                return !queue.isLateDrainRunning
            }
            guard isMine else { return }
        }
        let previous = owner.exchange(currentThread(), ordering: .relaxed)
        while true {
            while runPending() {}
            owner.store(previous, ordering: .relaxed)
            let isDone = queue.withLock { queue -> Bool in
                if !queue.pending.isEmpty { return false }
                queue.isLateDrainRunning = false
                return true
            }
            if isDone { return }
            owner.store(currentThread(), ordering: .relaxed)
        }
    }

    deinit { uv.deallocate() }
}
