internal import Synchronization

/// Makes the records of many threads durable by one write and one synchronization for all.
///
/// An idle committer commits at once; while one commit is under way the next group gathers.
/// Nothing is acknowledged that is not durable: when the disk is full or fails, what waits is
/// kept and tried again until it succeeds or the committer is closed. Its thread holds it until
/// ``close()``.
package final class GroupCommitter: Sendable {
    /// The positions of a submission's records, or why they will not be durable.
    package typealias Completion =
        @Sendable (Result<Range<Journal.Position>, StorageError>) -> Void

    /// Bounds and times of a committer.
    package struct Options: Sendable {
        /// Bytes submitted and not yet durable past which submissions are refused.
        ///
        /// Default: 32 MiB.
        package var maximumPendingBytes: Int

        /// Bytes of one commit, which a larger single submission exceeds.
        ///
        /// Default: 8 MiB.
        package var maximumGroupBytes: Int

        /// The pause after a first failure; each further one doubles it.
        ///
        /// Default: 20 ms.
        package var initialBackoff: Duration

        /// The longest pause between two attempts.
        ///
        /// Default: 2 s.
        package var maximumBackoff: Duration

        package init(
            maximumPendingBytes: Int = 32 << 20, maximumGroupBytes: Int = 8 << 20,
            initialBackoff: Duration = .milliseconds(20), maximumBackoff: Duration = .seconds(2)
        ) {
            self.maximumPendingBytes = maximumPendingBytes
            self.maximumGroupBytes = maximumGroupBytes
            self.initialBackoff = initialBackoff
            self.maximumBackoff = maximumBackoff
        }
    }

    /// Who commits.
    package enum Mode: Sendable {
        /// A thread of the committer's own.
        case thread
        /// The caller of ``GroupCommitter/step()``, for tests and simulations.
        case manual
    }

    private struct State: Sendable {
        var queue = SubmissionQueue()
        var waiters: [Waiter] = []
        var isClosed = false
        var isThreadWaiting = false
        var thread: WriterThread?

        /// Those who find room now; who comes first takes it, the others come back.
        mutating func takeWaiters(bound: Int) -> [Waiter] {
            let isEveryone = isClosed
            guard !waiters.isEmpty else { return [] }
            let ready = waiters.filter {
                isEveryone || queue.hasRoom(for: $0.bytes, bound: bound)
            }
            waiters.removeAll { isEveryone || queue.hasRoom(for: $0.bytes, bound: bound) }
            return ready
        }
    }

    private struct Waiter: Sendable {
        var bytes: Int
        var callback: @Sendable () -> Void
    }

    private let options: Options
    private let signal = Signal()
    private let state = Mutex(State())
    private let writer: Mutex<GroupWriter>
    private let onBlocked: @Sendable (StorageError?) -> Void

    /// A committer that is the only one to append to a journal.
    ///
    /// - Parameter onBlocked: Called when commits begin to fail, with the error, and with nil
    ///   when they succeed again; on the committing thread.
    package init(
        _ journal: Journal, options: Options = .init(), mode: Mode = .thread,
        onBlocked: @escaping @Sendable (StorageError?) -> Void = { _ in }
    ) throws(StorageError) {
        self.options = options
        self.onBlocked = onBlocked
        writer = Mutex(GroupWriter(journal: journal))
        guard mode == .thread else { return }
        guard let thread = WriterThread({ [self] in run() }) else {
            throw StorageError(
                .system(11), path: journal.directory, action: "start a thread for")
        }
        state.withLock { $0.thread = thread }
    }

    /// Bytes submitted and not yet durable.
    package var pendingBytes: Int { state.withLock { $0.queue.pendingBytes } }

    /// Submits records that become durable together with others, in the order of submission.
    ///
    /// The completion runs on the committing thread, in order; it should be short. On a closed
    /// committer it is called at once with `.closed`.
    ///
    /// - Returns: False when the bound on pending bytes is reached: the completion is not called.
    package func trySubmit(
        _ group: RecordGroup, completion: @escaping Completion
    ) -> Bool {
        enum Outcome { case taken(wake: Bool), full, closed }
        let outcome = state.withLock { state -> Outcome in
            if state.isClosed { return .closed }
            guard
                state.queue.hasRoom(
                    for: group.byteCount, bound: options.maximumPendingBytes)
            else {
                return .full
            }
            state.queue.add(Submission(group: group, completion: completion))
            defer { state.isThreadWaiting = false }
            return .taken(wake: state.isThreadWaiting)
        }
        switch outcome {
        case .taken(let wake):
            if wake { signal.set() }
            return true
        case .full: return false
        case .closed:
            completion(.failure(closed))
            return true
        }
    }

    /// Submits records, waiting for room first and then until they are durable.
    ///
    /// Not cancellable: what was submitted is going to be written.
    package func submit(
        _ group: RecordGroup
    ) async throws(StorageError) -> Range<Journal.Position> {
        let result = await withCheckedContinuation { continuation in
            submit(group) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Submits records once there is room for them.
    private func submit(_ group: RecordGroup, completion: @escaping Completion) {
        if trySubmit(group, completion: completion) { return }
        whenSpace(for: group.byteCount) { [self] in submit(group, completion: completion) }
    }

    /// Calls back once when a submission of so many bytes may be accepted.
    ///
    /// At once when it is so now, else on the committing thread.
    package func whenSpace(for bytes: Int, _ callback: @escaping @Sendable () -> Void) {
        let bound = options.maximumPendingBytes
        let isNow = state.withLock { state in
            if state.isClosed || state.queue.hasRoom(for: bytes, bound: bound) { return true }
            state.waiters.append(Waiter(bytes: bytes, callback: callback))
            return false
        }
        if isNow { callback() }
    }

    /// Commits what waits, as far as one commit takes it, and runs its completions.
    ///
    /// - Returns: Whether there was anything to do; after a failure it is tried again.
    @discardableResult
    package func step() -> Bool {
        let result = writer.withLock { writer in
            let taken = state.withLock {
                $0.queue.take(upTo: writer.isHolding ? 0 : options.maximumGroupBytes)
            }
            writer.take(taken)
            return writer.commit()
        }
        if result.changesBlocked { onBlocked(result.error) }
        // Room first: a completion may submit at once.
        let waiters = state.withLock { state in
            state.queue.pendingBytes -= result.completedBytes
            return state.takeWaiters(bound: options.maximumPendingBytes)
        }
        for (submission, outcome) in result.completed { submission.completion(outcome) }
        for waiter in waiters { waiter.callback() }
        if result.isFatal { fail(result.error ?? closed) }
        return result.didWork
    }

    /// Commits what was submitted, then stops; while commits fail, what waits fails as well.
    ///
    /// Returns when the last completion has run. Not to be called from a completion. The
    /// journal stays open.
    package func close() {
        let thread = state.withLock { state in
            state.isClosed = true
            defer { state.thread = nil }
            return state.thread
        }
        if let thread {
            signal.set()
            thread.join()
        } else {
            finish()
        }
    }

    private func run() {
        var backoff = options.initialBackoff
        while true {
            let didWork = step()
            if writer.withLock({ $0.blocked != nil }) {
                if pause(backoff) { break }
                backoff = min(backoff * 2, options.maximumBackoff)
                continue
            }
            backoff = options.initialBackoff
            if didWork { continue }
            let isClosed = state.withLock { state in
                state.isThreadWaiting = state.queue.isEmpty && !state.isClosed
                return state.isClosed && state.queue.isEmpty
            }
            if isClosed { break }
            if state.withLock({ $0.isThreadWaiting }) { signal.wait(for: nil) }
        }
        finish()
    }

    /// Waits between two attempts; true when the committer was closed meanwhile.
    private func pause(_ backoff: Duration) -> Bool {
        if state.withLock({ $0.isClosed }) { return true }
        signal.wait(for: backoff)
        return false
    }

    /// Commits the rest, and gives up what cannot be committed.
    private func finish() {
        while step() {
            if let error = writer.withLock({ $0.blocked }) { return fail(error) }
        }
    }

    /// Ends all that waits with an error.
    private func fail(_ error: StorageError) {
        let (rest, waiters) = state.withLock { state in
            state.isClosed = true
            defer {
                state.queue.pendingBytes = 0
                state.waiters = []
            }
            return (state.queue.take(upTo: .max), state.waiters)
        }
        let held = writer.withLock { $0.giveUp() }
        for submission in held + rest { submission.completion(.failure(error)) }
        for waiter in waiters { waiter.callback() }
    }

    private var closed: StorageError {
        StorageError(.closed, path: "the journal", action: "submit to")
    }
}
