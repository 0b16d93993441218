import Logging
import Synchronization
import WeirJournal

/// Takes the checkpoints of a run: has barriers sent, collects the parts, completes the manifest,
/// and tells sinks and sources when a checkpoint is durable.
package final class CheckpointService: Sendable {
    /// One instance of a stage, as checkpoints know it.
    struct InstanceID: Hashable, Sendable {
        let stage: String
        let instance: Int
    }

    /// Why a checkpoint is taken.
    enum Kind: Sendable {
        case regular
        case savepoint(String)
        case suspend
        case final
    }

    struct Pending: Sendable {
        let number: Int
        let kind: Kind
        let directory: String
        var awaited: Set<InstanceID>
        /// Those that have begun to write their parts.
        var writing: Set<InstanceID> = []
        var parts: [Manifest.Part] = []
        var error: (any Error)?
        var waiter: UnsafeContinuation<Void, Never>?
        var isOver: Bool { awaited.isEmpty || error != nil }
    }

    struct State: Sendable {
        var next = 1
        var pending: Pending?
        var ended: [InstanceID: (part: Manifest.Part, bytes: [UInt8])] = [:]
        var isStopped = false
        var finalWaiters: [UnsafeContinuation<Void, Never>] = []
        var endWaiters: [UnsafeContinuation<Void, Never>] = []
        var allHaveEnded = false
        var allHaveStopped = false
        var isFinalDone = false
        /// The last checkpoint of the run, once it is complete.
        var last: Int?
        var retained: [Int: [String: SourcePosition]] = [:]
    }

    let store: StateStore
    let directory: CheckpointDirectory
    let thread: BlockingThread
    private let topology: String
    let clock: any RuntimeClock
    private let executor: (any TaskExecutor)?
    /// Whether a checkpoint that something waits for is on its way.
    private let isRequested = Atomic<Bool>(false)
    private let logger: Logger
    let state = Mutex(State())
    private let lock = Mutex<(any FileLock)?>(nil)
    private let turn = AsyncTurn()
    let instances = Mutex<[InstanceID: StageActor]>([:])
    private let onComplete = Mutex<[@Sendable (_ oldest: [String: SourcePosition]) -> Void]>([])
    private let completed, failed: RunCounter
    private let seconds: RunHistogram
    private let size: RunGauge

    init(
        store: StateStore, topology: String, clock: any RuntimeClock, logger: Logger,
        instruments: RunInstruments, executor: (any TaskExecutor)?
    ) {
        self.store = store
        self.topology = topology
        directory = CheckpointDirectory(store)
        self.clock = clock
        self.executor = executor
        self.logger = logger
        thread = BlockingThread(isInline: executor != nil)
        completed = instruments.counter(
            "weir_checkpoints_total", "Checkpoints that are complete.")
        failed = instruments.counter(
            "weir_checkpoint_failures_total", "Checkpoints that were given up.")
        seconds = instruments.histogram(
            "weir_checkpoint_seconds", "From the barrier's start to the manifest.")
        size = instruments.gauge(
            "weir_checkpoint_bytes", "The size of the newest checkpoint.")
    }

    // MARK: Beginning and end of a run

    /// Takes the store and reads the checkpoint that the run begins with; nil for none.
    func open() async throws -> RestoredRun? {
        let (directory, store, topology) = (directory, store, topology)
        let (held, last, restored, kept) = try await thread.run {
            let lock: any FileLock
            do {
                lock = try directory.open()
            } catch let error as StorageError {
                throw StoreError(store: store.path, reason: "it can't be opened: \(error)")
            }
            do {
                let complete = try directory.completeCheckpoints()
                let restored = try Self.load(directory, store, complete)
                return (
                    lock, try directory.lastNumber(), restored,
                    Self.keptPositions(directory, store, complete, besides: restored?.manifest)
                )
            } catch {
                lock.release()
                throw error
            }
        }
        lock.withLock { $0 = held }
        if let restored, restored.manifest.topology != topology {
            lock.withLock { $0?.release() }
            throw StoreError(
                store: store.path,
                reason: "it belongs to the topology '\(restored.manifest.topology)', not to "
                    + "'\(topology)': give each topology a directory of its own")
        }
        state.withLock { state in
            state.next = max(last, restored?.manifest.checkpoint ?? 0) + 1
            state.retained = kept
            guard let manifest = restored?.manifest, manifest.savepoint == nil else { return }
            state.retained[manifest.checkpoint] = Self.positions(manifest)
        }
        return restored
    }

    /// Where the sources are in each checkpoint that earlier runs have left to go back to.
    private static func keptPositions(
        _ directory: CheckpointDirectory, _ store: StateStore, _ complete: [Int],
        besides restored: Manifest?
    ) -> [Int: [String: SourcePosition]] {
        var kept: [Int: [String: SourcePosition]] = [:]
        let known = restored?.savepoint == nil ? restored?.checkpoint : nil
        for number in complete.suffix(store.keeping) where number != known {
            // To a damaged one there is no way back.
            let manifest = try? directory.manifest(in: directory.directory(of: number))
            kept[number] = manifest.map(positions)
        }
        return kept
    }

    private static func load(
        _ directory: CheckpointDirectory, _ store: StateStore, _ complete: [Int]
    ) throws -> RestoredRun? {
        switch store.start.kind {
        case .latest:
            guard let newest = complete.last else { return nil }
            return try directory.restore(from: directory.directory(of: newest))
        case .empty:
            guard complete.isEmpty else {
                throw StoreError(
                    store: store.path,
                    reason: "it has checkpoints, so it can't begin empty: remove the directory if "
                        + "they are not needed any more")
            }
            return nil
        case .checkpoint(let number):
            guard complete.contains(number) else {
                throw StoreError(
                    store: store.path,
                    reason: "it has no checkpoint \(number), only \(complete)")
            }
            return try directory.restore(from: directory.directory(of: number))
        case .savepoint(let name):
            let names = try directory.savepointNames()
            guard names.contains(name) else {
                throw StoreError(
                    store: store.path, reason: "it has no savepoint '\(name)', only \(names)")
            }
            return try directory.restore(from: directory.directory(ofSavepoint: name))
        }
    }

    /// The number of the checkpoint under way; 0 for none.
    var underWay: Int { state.withLock { $0.pending?.number ?? 0 } }

    /// The number of the checkpoint under way, or of the next one.
    package var upcoming: Int { state.withLock { $0.pending?.number ?? $0.next } }

    /// Says who contributes to checkpoints.
    func add(_ instance: StageActor) {
        let id = InstanceID(stage: instance.name, instance: instance.instance)
        instances.withLock { $0[id] = instance }
    }

    /// Calls back after each checkpoint with the oldest positions that a kept one may go back to.
    package func onComplete(
        _ action: @escaping @Sendable (_ oldest: [String: SourcePosition]) -> Void
    ) {
        onComplete.withLock { $0.append(action) }
    }

    /// Takes checkpoints at the store's interval until cancelled.
    func run() async {
        guard store.interval > .zero else { return }
        while !Task.isCancelled {
            do {
                try await clock.sleep(for: store.interval)
                _ = try await take(.regular)
            } catch is CancellationError {
                return
            } catch {
                // It has been logged and counted; the next one may find room again.
            }
        }
    }

    /// Gives up what is under way and gives the store back.
    func close() async {
        stopWaiting()
        // A checkpoint under way removes what it leaves, for which it needs the thread.
        await turn.begin()
        defer { turn.end() }
        // What has been submitted before is done first.
        try? await thread.run {}
        lock.withLock { $0?.release() }
        thread.stop()
        instances.withLock { $0 = [:] }
    }

    // MARK: A checkpoint

    /// Has a checkpoint taken soon, because something can't go on without: a journal that is full.
    package func request() {
        if isRequested.exchange(true, ordering: .acquiringAndReleasing) { return }
        _ = startTask(on: executor) { [weak self] in
            _ = try? await self?.take(.regular)
        }
    }

    /// Takes a checkpoint and returns its number once it is durable.
    func take(_ kind: Kind, inject: (@Sendable (Barrier) -> Void)? = nil) async throws -> Int {
        await turn.begin()
        defer { turn.end() }
        // What is asked for from here on may need a checkpoint behind this one.
        isRequested.store(false, ordering: .releasing)
        let started = clock.monotonicNanoseconds()
        // First: whatever fails from here on removes the directory.
        if case .savepoint(let name) = kind, !state.withLock({ $0.isStopped }) {
            try await thread.run { [directory] in try directory.makeRoom(forSavepoint: name) }
        }
        let number = try begin(kind)
        do {
            let manifest = try await collect(number, kind, inject)
            let (directory, target) = (directory, path(of: number, kind))
            let keeping = store.keeping
            let isSavepoint = manifest.savepoint != nil
            try await thread.run {
                try directory.files.syncDirectory(target)
                try directory.files.writeDurably(try manifest.encoded(), to: "\(target)/MANIFEST")
                if !isSavepoint {
                    // The new checkpoint counts even if old ones can't be removed.
                    try? directory.prune(keeping: keeping, current: number)
                }
            }
            finish(manifest, nanoseconds: clock.monotonicNanoseconds() - started)
            return number
        } catch {
            state.withLock { $0.pending = nil }
            if !(error is CancellationError) {
                failed.increment()
                logger.error(
                    "checkpoint failed; the one before it stays in force",
                    metadata: ["checkpoint": "\(number)", "error": "\(error)"])
            }
            let (directory, target) = (directory, path(of: number, kind))
            try? await thread.run { try directory.remove(target) }
            throw error
        }
    }

    private func path(of number: Int, _ kind: Kind) -> String {
        if case .savepoint(let name) = kind { return directory.directory(ofSavepoint: name) }
        return directory.directory(of: number)
    }

    private func begin(_ kind: Kind) throws -> Int {
        let all = Set(instances.withLock { $0.keys })
        return try state.withLock { state in
            if state.isStopped { throw CancellationError() }
            let number = state.next
            state.next += 1
            state.pending = Pending(
                number: number, kind: kind, directory: path(of: number, kind),
                awaited: all.subtracting(state.ended.keys))
            return number
        }
    }

    /// The instances in the order of the flow, so that equal runs of a simulation stay equal.
    private var orderedInstances: [StageActor] {
        instances.withLock { Array($0.values) }.sorted {
            ($0.order, $0.instance) < ($1.order, $1.instance)
        }
    }

    /// Has all instances contribute, and waits for them.
    private func collect(
        _ number: Int, _ kind: Kind, _ inject: (@Sendable (Barrier) -> Void)?
    ) async throws -> Manifest {
        let (directory, target) = (directory, path(of: number, kind))
        try await thread.run { try directory.files.createDirectory(target) }
        var suspends = false
        if case .suspend = kind { suspends = true }
        let barrier = Barrier(checkpoint: number, suspends: suspends)
        if let inject {
            inject(barrier)
        } else {
            for instance in orderedInstances {
                instance.requestBarrier(barrier)
            }
        }
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let isOver = state.withLock { state in
                if state.pending?.isOver ?? true { return true }
                state.pending?.waiter = continuation
                return false
            }
            if isOver { continuation.resume() }
        }
        let (pending, ended) = state.withLock { ($0.pending, $0.ended) }
        guard var parts = pending?.parts, pending?.error == nil else {
            throw pending?.error ?? CancellationError()
        }
        let live = Set(parts.map { InstanceID(stage: $0.stage, instance: $0.instance) })
        // In one order, so that equal runs of a simulation stay equal.
        let left = ended.filter { !live.contains($0.key) }.sorted {
            ($0.key.stage, $0.key.instance) < ($1.key.stage, $1.key.instance)
        }
        for (_, (endedPart, plain)) in left {
            let bytes = try store.cipher.map { try PartSealer.seal(file: plain, with: $0) } ?? plain
            var part = endedPart
            part.bytes = bytes.count
            let file = part.file
            try await thread.run {
                try directory.files.writeDurably(bytes, to: "\(target)/\(file)")
            }
            parts.append(part)
        }
        parts.sort { ($0.stage, $0.instance) < ($1.stage, $1.instance) }
        var manifest = Manifest(
            topology: topology, checkpoint: number, takenAt: clock.now().nanoseconds,
            hasEnded: parts.allSatisfy(\.hasEnded), parts: parts)
        if case .savepoint(let name) = kind { manifest.savepoint = name }
        return manifest
    }

    private func finish(_ manifest: Manifest, nanoseconds: Int64) {
        let oldest = state.withLock { state in
            state.pending = nil
            if manifest.savepoint == nil {
                state.retained[manifest.checkpoint] = Self.positions(manifest)
            }
            while state.retained.count > store.keeping, let first = state.retained.keys.min() {
                state.retained[first] = nil
            }
            return Self.oldest(of: state.retained.values)
        }
        completed.increment()
        seconds.record(Double(nanoseconds) / 1e9)
        let bytes = manifest.parts.reduce(0) { $0 + $1.bytes }
        size.set(Double(bytes))
        logger.debug(
            "checkpoint complete",
            metadata: [
                "checkpoint": "\(manifest.checkpoint)", "bytes": "\(bytes)",
                "milliseconds": "\(nanoseconds / 1_000_000)",
            ])
        if manifest.savepoint == nil {
            for instance in orderedInstances {
                instance.checkpointCompleted(manifest.checkpoint)
            }
            for action in onComplete.withLock({ $0 }) { action(oldest) }
        }
    }

    /// The positions that are in each of the checkpoints, where they are the lowest: one that was
    /// taken after going back may be behind those before it.
    private static func oldest(
        of checkpoints: some Collection<[String: SourcePosition]>
    ) -> [String: SourcePosition] {
        guard var oldest = checkpoints.first else { return [:] }
        for positions in checkpoints.dropFirst() {
            for (stage, position) in oldest {
                oldest[stage] = positions[stage].map {
                    ($0.offset, $0.identity) < (position.offset, position.identity) ? $0 : position
                }
            }
        }
        return oldest
    }

    private static func positions(_ manifest: Manifest) -> [String: SourcePosition] {
        var positions: [String: SourcePosition] = [:]
        for part in manifest.parts where part.position != nil {
            positions[part.stage] = part.position
        }
        return positions
    }
}
