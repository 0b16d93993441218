/// What a stage shows of the bounded state of its operators, besides keys and timers.
@usableFromInline
package struct StageGauge: Hashable, Sendable {
    /// The name of the metric.
    package let name: String
    package let help: String
    /// Whether it only grows.
    package let isCounter: Bool
    /// Whether of several instances or operators the largest one counts, not the sum.
    package let isMaximum: Bool

    init(_ name: String, _ help: String, isCounter: Bool = false, isMaximum: Bool = false) {
        self.name = name
        self.help = help
        self.isCounter = isCounter
        self.isMaximum = isMaximum
    }

    /// The number of two instances or operators together.
    func combine(_ first: Double?, _ second: Double) -> Double {
        guard let first else { return second }
        return isMaximum ? max(first, second) : first + second
    }

    @usableFromInline package static let joinRows = StageGauge(
        "weir_join_rows", "Rows and waiting events that a join keeps.")
    @usableFromInline package static let joinKeyRows = StageGauge(
        "weir_join_key_rows", "Rows of the fullest key on a side of a join, of those that got one.",
        isMaximum: true)
    @usableFromInline package static let joinKeyRowsLimit = StageGauge(
        "weir_join_key_rows_limit", "Rows of a key on a side of a join that are kept.",
        isMaximum: true)
    @usableFromInline package static let joinKeyWaiting = StageGauge(
        "weir_join_key_waiting", "Events of the fullest key that wait in a join.", isMaximum: true)
    @usableFromInline package static let joinKeyWaitingLimit = StageGauge(
        "weir_join_key_waiting_limit", "Events of a key that may wait in a join.", isMaximum: true)
    @usableFromInline package static let partialMatches = StageGauge(
        "weir_pattern_partial_matches", "Partial matches of a pattern.")
    @usableFromInline package static let expired = StageGauge(
        "weir_state_expired_total", "Keys whose state has outlived its time.", isCounter: true)
    @usableFromInline package static let rateLimitKeys = StageGauge(
        "weir_rate_limit_keys", "Keys that have used tokens of theirs.")
    package static let hubMembers = StageGauge(
        "weir_hub_members", "Producers or consumers that are attached to a hub.")
    package static let loopWaiting = StageGauge(
        "weir_loop_waiting", "Events that wait to go round a loop again.")
    package static let alignmentAhead = StageGauge(
        "weir_alignment_ahead_seconds", "How far an aligned stream is ahead of the slowest one.")
    package static let alignmentHeld = StageGauge(
        "weir_alignment_held", "1 while an aligned stream is held back.")
}

/// A number that an operator keeps of its state: it follows the fate of the batch.
@usableFromInline
package final class StateCount: TransactionParticipant {
    @exclusivity(unchecked) @usableFromInline package var value = 0
    private var saved = 0

    @usableFromInline
    init() {}

    @usableFromInline package func beginBatch() { saved = value }
    @usableFromInline package func commitBatch() {}
    @usableFromInline package func rollbackBatch() { value = saved }
}

extension StageScope {
    /// A number that is shown; after a restore its owner sets it anew.
    ///
    /// - Parameter gauge: Under which name; nil keeps it to itself.
    @usableFromInline
    package func makeCount(_ gauge: StageGauge?) -> StateCount {
        let count = StateCount()
        registerTransient(count)
        if let gauge { show(gauge) { count.value } }
        return count
    }
}

/// How a stream that is aligned with others stands to them.
public struct AlignmentStatus: Sendable, Codable, Equatable {
    /// The group's name.
    public var group: String
    /// How far its watermark is ahead of the slowest one; 0 if it is the slowest, or one of them has none yet.
    public var aheadSeconds: Double
    /// How far it may be ahead.
    public var maximumDriftSeconds: Double
    /// Whether it is held back now.
    public var isHeld: Bool
    /// The stages that it waits for, those with the lowest watermark; empty while it is not held back.
    public var waitsFor: [String]
}
