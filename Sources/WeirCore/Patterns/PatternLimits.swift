/// How much a stage keeps of each key while it looks for a pattern.
public struct PatternLimits: Sendable, Hashable {
    /// What happens when a key has too many partial matches, or too many events in them.
    public struct Overflow: Sendable, Hashable {
        @usableFromInline
        enum Kind: Sendable, Hashable { case dropOldest, dropNewest, fail }

        @usableFromInline let kind: Kind

        /// The partial matches that began first go, counted as dropped.
        public static let dropOldest = Overflow(kind: .dropOldest)
        /// The partial matches that began last go, counted as dropped.
        public static let dropNewest = Overflow(kind: .dropNewest)
        /// The event fails with a ``StateError``: it goes to the dead letters, or the failure
        /// escalates.
        public static let fail = Overflow(kind: .fail)
    }

    /// Partial matches of a key, and matches that wait for earlier partial matches.
    ///
    /// Default 1,000.
    public var partialMatches: Int
    /// Events of a key in partial matches.
    ///
    /// Default 10,000.
    public var matchedEvents: Int
    /// Events of a key that wait for the watermark; further ones go to the dead letters.
    ///
    /// Default 100,000.
    public var waitingEvents: Int
    /// What happens beyond the first two bounds.
    ///
    /// Default: the oldest partial matches go.
    public var overflow: Overflow

    /// Limits; those that are not given have their defaults.
    public init(
        partialMatches: Int = 1_000, matchedEvents: Int = 10_000, waitingEvents: Int = 100_000,
        overflow: Overflow = .dropOldest
    ) {
        self.partialMatches = partialMatches
        self.matchedEvents = matchedEvents
        self.waitingEvents = waitingEvents
        self.overflow = overflow
    }

    @usableFromInline var problem: String? {
        let smallest = min(partialMatches, matchedEvents, waitingEvents)
        return smallest > 0 ? nil : "its limits must be at least 1, not \(smallest)"
    }
}

extension StateError.Code {
    /// A key has its maximum of partial matches, or of events in them.
    public static let tooManyPartialMatches = StateError.Code(name: "tooManyPartialMatches")
}

extension StateError {
    @usableFromInline
    static func tooManyPartialMatches(_ limits: PatternLimits) -> StateError {
        StateError(
            code: .tooManyPartialMatches,
            message: "a key has more than \(limits.partialMatches) partial matches or "
                + "\(limits.matchedEvents) events in them; give the pattern a shorter within(_:), "
                + "stricter conditions or higher limits")
    }
}
