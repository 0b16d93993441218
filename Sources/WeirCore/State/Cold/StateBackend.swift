/// How much keyed state stays in memory when the rest is elsewhere.
///
/// The bounds hold for each table of each stage instance; most operators have one table. What a
/// batch touches is in memory until the batch is done, so a table may exceed them by its keys.
public struct StateCache: Sendable, Hashable {
    /// How many entries stay in memory, at least 1.
    public var entries: Int
    /// How many bytes they may take, as their encoded size, which is estimated from samples.
    public var bytes: Int

    /// Creates bounds.
    ///
    /// - Parameters:
    ///   - entries: How many entries stay in memory. Default 100,000.
    ///   - bytes: How many bytes they may take, as their encoded size. Default 64 MiB.
    public init(entries: Int = 100_000, bytes: Int = 64 << 20) {
        self.entries = max(1, entries)
        self.bytes = max(1, bytes)
    }
}

/// Where keyed state is while a topology runs.
///
/// Whatever the backend, state behaves the same, and checkpoints have the same files: a run may go
/// on from the checkpoint of one with another backend. What a backend keeps on a disk is of no use
/// to a later run, which begins with a checkpoint.
public struct StateBackend: Sendable {
    /// All keyed state in memory, the fastest; this is the default.
    public static let memory = StateBackend(opener: nil, cache: StateCache())

    /// What a run has that says nothing else; tests try others.
    @TaskLocal package static var standard = StateBackend.memory

    /// Opens what has the entries that memory has no room for; nil when memory has all.
    let opener: ColdOpener?
    let cache: StateCache
    /// Whether state that isn't Codable stays in memory, instead of being refused.
    package var keepsUncodable = false

    private init(opener: ColdOpener?, cache: StateCache) {
        self.opener = opener
        self.cache = cache
    }

    /// A backend that keeps in memory what was used last, and the rest where `open` says.
    ///
    /// - Parameter open: Opens an empty engine for a run, once; it may block.
    package init(
        cache: StateCache, open: @escaping @Sendable () throws -> any ColdEngine
    ) {
        self.init(opener: ColdOpener(open), cache: cache)
    }
}

/// Tells one backend from another, so that the stages of a run share what it opens.
final class ColdOpener: Sendable {
    let open: @Sendable () throws -> any ColdEngine

    init(_ open: @escaping @Sendable () throws -> any ColdEngine) {
        self.open = open
    }
}
