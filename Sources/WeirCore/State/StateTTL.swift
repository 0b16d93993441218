/// How long keyed state outlives its last use.
///
/// Whether `duration` is event time or processing time depends on which of the two the stage passes
/// as `now`. An expired entry behaves as absent at once; its memory is freed by later sweeps.
public struct StateTTL: Sendable, Hashable {
    /// What counts as a use that prolongs the life of an entry.
    public struct Refresh: Sendable, Hashable {
        @usableFromInline let onRead: Bool

        /// Only writing prolongs it (the default).
        public static let onWrite = Refresh(onRead: false)
        /// Reading prolongs it as well as writing.
        public static let onReadAndWrite = Refresh(onRead: true)
    }

    /// The time from the last use to expiry; `validate()` refuses one that isn't above zero.
    public var duration: Duration
    /// What counts as a use.
    public var refresh: Refresh

    /// Creates a time-to-live.
    public init(_ duration: Duration, refresh: Refresh = .onWrite) {
        self.duration = duration
        self.refresh = refresh
    }

    @usableFromInline var problem: String? {
        duration > .zero ? nil : "a ttl is above zero, not \(duration); leave it out to keep state"
    }
}

extension StageScope {
    /// The time-to-live of an operator: its own, or that of the run.
    @usableFromInline
    func lifetime(_ ttl: StateTTL?) -> StateTTL? {
        if let ttl { return ttl }
        guard let common = environment.stateTTL, common.duration > .zero else { return nil }
        return common
    }
}
