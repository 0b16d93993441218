import DequeModule
package import Logging
import Synchronization
package import WeirJournal

/// What a source that cannot be read again has taken in: durable before anything else sees it and
/// before a sender is told.
///
/// Connections ``submit(_:by:)`` records; a thread of its own makes all that wait durable by one
/// commit, tells the producers, and hands them to the source in the journal's order by ``next()``.
/// After a failure of the disk nothing is acknowledged, ``onFlow(_:)`` says that connections are
/// not to be read, and ``retry()`` goes on with the same records.
package final class IngestJournal: Sendable {
    /// A durable record.
    package struct Stored: Sendable {
        package let position: UInt64
        package let bytes: [UInt8]
    }

    struct State: Sendable {
        /// Records that are to become durable.
        var waiting = Deque<IngestRecord>()
        /// Records that are durable and not handed on.
        var committed = Deque<Stored>()
        var pendingBytes = 0
        var isScheduled = false
        var blocked: StorageError?
        var isFull = false
        var isFinishing = false
        var isClosed = false
        var retainFrom: UInt64?
        var onFlow: (@Sendable (_ isOpen: Bool) -> Void)?
        var consumer: UnsafeContinuation<Void, Never>?
        var watcher: UnsafeContinuation<Void, Never>?
        var flushers: [UnsafeContinuation<Void, Never>] = []

        var isOpen: Bool { blocked == nil && !isFull }
    }

    package let directory: String

    /// Bytes of the largest message that is taken.
    package static let maximumMessageBytes = (1 << 30) - (1 << 20)

    package let registry: ProducerRegistry
    package let keys: RequestKeys
    let files: any FileSystem
    let cipher: (any RecordCipher)?
    let options: IngestLimits
    let stage: String
    let logger: Logger
    let state = Mutex(State())
    let journal = Mutex<Journal?>(nil)
    let replay = Mutex<JournalReader?>(nil)
    /// Behind what ``nextReplayed(byteCount:)`` gives.
    let replayEnd = Atomic<UInt64>(0)
    let metrics: IngestMetrics
    let thread: BlockingThread
    let whenFull = Mutex<(@Sendable () -> Void)?>(nil)

    /// - Parameter isInline: Whether the disk is used where it is needed, for deterministic tests.
    package init(
        directory: String, stage: String, files: any FileSystem,
        cipher: (any RecordCipher)? = nil, options: IngestLimits = IngestLimits(),
        logger: Logger, instruments: RunInstruments = RunInstruments(), isInline: Bool = false
    ) {
        self.cipher = cipher
        self.directory = directory
        self.stage = stage
        self.files = files
        self.options = options
        self.logger = logger
        registry = ProducerRegistry(
            stage: stage, limit: options.producers, logger: logger, instruments: instruments)
        keys = RequestKeys(
            stage: stage, limits: options, logger: logger, instruments: instruments)
        metrics = IngestMetrics(stage: stage, instruments)
        thread = BlockingThread(isInline: isInline)
    }

    // MARK: Taking in

    /// Whether connections may be read.
    package var isOpen: Bool { state.withLock { $0.isOpen } }

    /// Says who is told when connections may be read and when not; on any thread, and at once.
    package func onFlow(_ callback: (@Sendable (_ isOpen: Bool) -> Void)?) {
        let isOpen = state.withLock { state in
            state.onFlow = callback
            return state.isOpen
        }
        if !isOpen { callback?(false) }
    }

    /// Takes a record to make it durable.
    ///
    /// - Parameter session: The producer's connection; nil for messages without numbers.
    /// - Returns: False when the record was not taken: the producer has a newer connection.
    package func submit(_ record: IngestRecord, by session: ProducerSession? = nil) -> Bool {
        if record.isEmpty { return true }
        if let session,
            !registry.accept(record.producer, upTo: record.lastSequence, session)
        {
            return false
        }
        let (starts, callback) = state.withLock { state in
            if state.isClosed { return (false, (@Sendable (Bool) -> Void)?.none) }
            state.waiting.append(record)
            state.pendingBytes += record.bytes.count
            let becomesFull = !state.isFull && state.pendingBytes >= options.pendingBytes
            let wasOpen = state.isOpen
            if becomesFull { state.isFull = true }
            let starts = !state.isScheduled && state.blocked == nil
            if starts { state.isScheduled = true }
            return (starts, wasOpen && becomesFull ? state.onFlow : nil)
        }
        callback?(false)
        if starts { thread.submit { [self] in work() } }
        return true
    }

    // MARK: Handing on

    /// What has become durable since the last call; waits for it.
    ///
    /// Empty when ``finish()`` was called and all has been handed on.
    package func next() async -> [Stored] {
        while true {
            let (records, isOver) = state.withLock { state in
                let isOver =
                    state.isClosed
                    || state.isFinishing && state.committed.isEmpty && !state.isScheduled
                defer { state.committed.removeAll() }
                return (Array(state.committed), isOver)
            }
            if isOver || !records.isEmpty { return records }
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let hasNews = state.withLock { state in
                    if !state.committed.isEmpty || state.isFinishing && !state.isScheduled
                        || state.isClosed
                    {
                        return true
                    }
                    state.consumer = continuation
                    return false
                }
                if hasNews { continuation.resume() }
            }
        }
    }

    /// Takes note that records have been handed on, which makes room for more.
    package func handedOn(byteCount: Int) {
        let callback = state.withLock { state in
            state.pendingBytes -= byteCount
            guard state.isFull, state.pendingBytes <= options.pendingBytes / 2 else {
                return (@Sendable (Bool) -> Void)?.none
            }
            state.isFull = false
            return state.isOpen ? state.onFlow : nil
        }
        callback?(true)
        metrics.pending.set(Double(state.withLock { $0.pendingBytes }))
    }

    /// Waits until all that was submitted is durable, or can't become it now.
    package func flush() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let isDone = state.withLock { state in
                if !state.isScheduled || state.isClosed { return true }
                state.flushers.append(continuation)
                return false
            }
            if isDone { continuation.resume() }
        }
    }

    /// Lets ``next()`` end behind what has been submitted.
    package func finish() {
        let (consumer, watcher) = state.withLock { state in
            state.isFinishing = true
            state.onFlow = nil
            return (state.consumer.take(), state.watcher.take())
        }
        consumer?.resume()
        watcher?.resume()
    }

    // MARK: Trouble

    /// Waits until the disk fails; returns false when there is no need to wait any more.
    package func waitUntilBlocked() async -> Bool {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let isOver = state.withLock { state in
                if state.blocked != nil || state.isFinishing || state.isClosed { return true }
                state.watcher = continuation
                return false
            }
            if isOver { continuation.resume() }
        }
        return state.withLock { $0.blocked != nil && !$0.isFinishing && !$0.isClosed }
    }

    /// Why nothing can become durable now; nil when all is well.
    package var trouble: StorageError? { state.withLock { $0.blocked } }

    /// Tries again to make durable what waits.
    package func retry() {
        let starts = state.withLock { state in
            if state.isScheduled || state.blocked == nil || state.isFinishing || state.isClosed {
                return false
            }
            state.isScheduled = true
            return true
        }
        if starts { thread.submit { [self] in work() } }
    }

    /// Lets go of what is before a position; later, where the journal is now in trouble.
    package func retain(from position: UInt64) {
        let starts = state.withLock { state in
            state.retainFrom = position
            if state.isScheduled || state.isClosed { return false }
            state.isScheduled = true
            return true
        }
        if starts { thread.submit { [self] in work() } }
    }
}
