package import WeirJournal

/// Where a run keeps what it must not lose: checkpoints of its state, and what its sockets have
/// taken in.
///
/// With a store, state is exactly-once over a crash of the process or of the machine: the next run
/// on the same store begins with the newest complete checkpoint, its sources go back to where they
/// were then, and what follows is handled again.
public struct StateStore: Sendable {
    /// Which checkpoint a run begins with.
    public struct Start: Sendable, Hashable {
        enum Kind: Sendable, Hashable { case latest, empty, checkpoint(Int), savepoint(String) }
        let kind: Kind

        /// The newest complete checkpoint; empty state when there is none.
        ///
        /// The default.
        public static let latest = Start(kind: .latest)
        /// The savepoint of this name.
        public static func savepoint(_ name: String) -> Start { Start(kind: .savepoint(name)) }
        /// The checkpoint of this number, one of those that are kept.
        public static func checkpoint(_ number: Int) -> Start { Start(kind: .checkpoint(number)) }
        /// Empty state; refused when the store has checkpoints, so that none is lost by mistake.
        public static let empty = Start(kind: .empty)
    }

    /// The path of the store's directory.
    public let path: String
    /// How often a checkpoint is taken; zero for only when asked.
    public var interval: Duration
    /// How many checkpoints are kept.
    ///
    /// At least 1.
    public var keeping: Int
    /// Which checkpoint the run begins with.
    public var start: Start
    /// Whether state of stages that the topology no longer has is left out instead of refused.
    public var dropsUnknownState: Bool

    package var fileSystem: any FileSystem = LocalFileSystem()
    /// Seals the state and what sockets have taken in; nil for plain files.
    package var cipher: (any RecordCipher)?

    /// A store in a directory, which is made when missing.
    ///
    /// One run at a time may use it.
    ///
    /// - Parameters:
    ///   - path: The directory's path.
    ///   - interval: How often a checkpoint is taken; zero for only when asked. Default 10 seconds.
    ///   - keeping: How many checkpoints are kept. Default 3.
    ///   - start: Which checkpoint the run begins with. Default: the newest.
    ///   - dropsUnknownState: Whether state of stages that the topology no longer has is left out
    ///     instead of refused. Default: refused.
    public static func directory(
        _ path: String, checkpointEvery interval: Duration = .seconds(10), keeping: Int = 3,
        from start: Start = .latest, dropsUnknownState: Bool = false
    ) -> StateStore {
        StateStore(
            path: path, interval: interval, keeping: max(1, keeping), start: start,
            dropsUnknownState: dropsUnknownState)
    }

    init(
        path: String, interval: Duration, keeping: Int, start: Start, dropsUnknownState: Bool
    ) {
        self.path = path
        self.interval = interval
        self.keeping = keeping
        self.start = start
        self.dropsUnknownState = dropsUnknownState
    }
}

/// A store can't be used as it is.
public struct StoreError: Error, CustomStringConvertible {
    /// The path of the store.
    public let store: String
    /// What is wrong, where, and what to do.
    public let reason: String

    package init(store: String, reason: String) {
        self.store = store
        self.reason = reason
    }

    /// The store and what is wrong with it.
    public var description: String { "store '\(store)': \(reason)" }
}
