import DequeModule
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#endif

/// A thread of its own for calls that may block, such as reading a file: they never hold up the threads that all actors
/// share.
///
/// In a deterministic run (one with an executor of its own) the calls run where they are made.
final class BlockingThread: Sendable {
    private struct State: Sendable {
        var jobs = Deque<@Sendable () -> Void>()
        var hasStarted = false
        var isStopped = false
        /// Whether the thread has looked for a job for the last time.
        var hasEnded = false
    }

    private let state = Mutex(State())
    private let wakeUp: Pipe?
    /// Becomes readable when the caller of a job was cancelled.
    let cancellation: Pipe?
    private let isInline: Bool

    /// - Parameter environment: The run it belongs to.
    convenience init(_ environment: RunEnvironment) {
        self.init(isInline: environment.executor != nil)
    }

    /// - Parameter isInline: Whether jobs run where they are submitted.
    init(isInline: Bool) {
        self.isInline = isInline
        wakeUp = isInline ? nil : Pipe()
        cancellation = isInline ? nil : Pipe()
    }

    /// Has a job run on the thread, behind those before it; where it is submitted when the thread
    /// has been stopped.
    func submit(_ job: @escaping @Sendable () -> Void) {
        guard !isInline, let wakeUp else { return job() }
        let (starts, runsHere) = state.withLock { state in
            if state.hasEnded { return (false, true) }
            state.jobs.append(job)
            defer { state.hasStarted = true }
            return (!state.hasStarted, false)
        }
        if runsHere {
            job()
        } else if starts {
            start()
        } else {
            wakeUp.write()
        }
    }

    /// Runs a job on the thread and waits for it.
    ///
    /// Jobs run one after the other.
    func run<Value: Sendable>(
        _ job: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        if isInline { return try job() }
        return try await withUnsafeThrowingContinuation { continuation in
            submit { continuation.resume(with: Result { try job() }) }
        }
    }

    /// Runs a job that watches ``cancellation`` and gives up when the task is cancelled.
    func runCancellable<Value: Sendable>(
        _ job: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try Task.checkCancellation()
        return try await withTaskCancellationHandler {
            try await run(job)
        } onCancel: {
            cancellation?.write()
        }
    }

    /// Lets the thread end when its jobs are done.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            if !state.hasStarted { state.hasEnded = true }
        }
        wakeUp?.write()
    }

    private func start() {
        guard let wakeUp else { return }
        let body = ThreadBody { [self] in
            while true {
                let (job, isStopped) = state.withLock { state in
                    let job = state.jobs.popFirst()
                    if job == nil, state.isStopped { state.hasEnded = true }
                    return (job, state.isStopped)
                }
                if let job {
                    job()
                } else if isStopped {
                    return
                } else {
                    wakeUp.read()
                }
            }
        }
        body.detach()
    }
}

/// What a thread runs.
private final class ThreadBody: Sendable {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }

    func detach() {
        // Safety: the retained reference is taken back exactly once: by the thread, or here when none was made.
        let argument = Unmanaged.passRetained(self)
        if !makeThread(argument.toOpaque()) { argument.takeRetainedValue().run() }
    }

    func run() { body() }
}

/// Makes a detached thread; false when none is to be had.
private func makeThread(_ argument: UnsafeMutableRawPointer) -> Bool {
    #if canImport(Darwin)
        var thread: pthread_t?
        guard pthread_create(&thread, nil, threadMain, argument) == 0, let thread else {
            return false
        }
        pthread_detach(thread)
    #else
        var thread = pthread_t()
        guard pthread_create(&thread, nil, threadMain, argument) == 0 else { return false }
        pthread_detach(thread)
    #endif
    return true
}

#if canImport(Darwin)
    private func threadMain(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
        return nil
    }
#else
    private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        if let argument { Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
    }
#endif

/// A pipe that only says that something has happened.
final class Pipe: Sendable {
    let readEnd: Int32
    private let writeEnd: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        if pipe(&ends) != 0 { ends = [-1, -1] }
        readEnd = ends[0]
        writeEnd = ends[1]
        // Neither end may ever block the one who signals.
        if writeEnd >= 0 { _ = fcntl(writeEnd, F_SETFL, O_NONBLOCK) }
        for end in ends where end >= 0 { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    deinit {
        if readEnd >= 0 { close(readEnd) }
        if writeEnd >= 0 { close(writeEnd) }
    }

    func write() {
        var byte: UInt8 = 1
        systemWrite(writeEnd, &byte, 1)
    }

    /// Waits until somebody has written.
    func read() {
        var bytes = [UInt8](repeating: 0, count: 64)
        _ = systemRead(readEnd, &bytes, bytes.count)
    }
}

@discardableResult
private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
    write(file, bytes, count)
}

private func systemRead(_ file: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
    read(file, bytes, count)
}
