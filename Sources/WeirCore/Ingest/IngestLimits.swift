/// Bounds on what a source that takes connections keeps, in memory and in its ingest journal.
public struct IngestLimits: Sendable, Hashable {
    /// Bytes that were read and not yet handed to the stage, past which connections aren't read.
    ///
    /// Default 8 MiB; of a run with a store only: without one the mailbox is the bound.
    public var pendingBytes = 8 << 20

    /// Bytes of the journal on disk, past which nothing is read until a checkpoint frees some.
    ///
    /// Default 8 GiB.
    public var journalBytes = 8 << 30

    /// How many producers are remembered; past it the longest idle one is forgotten.
    ///
    /// Default 100,000.
    public var producers = 100_000

    /// How many keys of requests (`Idempotency-Key`) are remembered; past it the oldest are forgotten.
    ///
    /// Default 100,000, of 36 bytes each on disk; of HTTP sources only.
    public var requestKeys = 100_000

    /// How long the key of a request is remembered; 24 hours by default.
    public var requestKeyLifetime: Duration = .seconds(24 * 3_600)

    package var segmentBytes = 64 << 20

    /// The defaults.
    public init() {}
}
