import Synchronization

extension EventStream {
    /// Holds this stream back while its event time is far ahead of that of others: watermark alignment.
    ///
    /// Without it a source that is read faster than others fills the state of what joins them: all its
    /// events wait for the slowest. Put it behind `eventTime`, in the source's stage: that stage then takes nothing
    /// more while it is ahead, and the source is suspended. Streams that are idle or have ended hold nobody back.
    ///
    /// ```swift
    /// let fast = payments.eventTime(\.at).aligned(in: "cards", maximumDrift: .minutes(5))
    /// let slow = trips.eventTime(\.at).aligned(in: "cards", maximumDrift: .minutes(5))
    /// fast.keyed(by: \.card).join(slow.keyed(by: \.card), within: .zero ... .hours(1), .inner) {
    ///     payment, trip in "\(payment.amount) in \(trip.country)"
    /// }
    /// .sink(.print)
    /// ```
    ///
    /// - Parameters:
    ///   - group: The streams of a topology that have the same group are aligned with each other.
    ///   - drift: How far its watermark may be ahead of the slowest one, above zero. One batch
    ///     may go beyond it. When a checkpoint begins, so may what its barrier could not get past
    ///     otherwise: the rest of what a source has sent with one position, and in another stage
    ///     than the source's all that is before it.
    /// - Complexity: O(streams of the group) per watermark.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** its watermark is ahead by more than
    /// `drift`, or the next stage is full. **Finishes when** the input ends.
    /// **Cancels when** nobody takes its events any more.
    public func aligned(
        in group: String, maximumDrift drift: Duration, file: StaticString = #fileID,
        line: UInt = #line
    ) -> EventStream<Element> {
        var traits = NodeTraits(needsEventTime: true)
        if drift <= .zero {
            traits.problem = "aligned takes a maximumDrift above zero, not \(drift)"
        }
        return transform("aligned", traits: traits, at: SourceLocation(file, line)) {
            scope, downstream in
            let group = scope.environment.resources.shared(
                "alignment \(group)", make: { AlignmentGroup(name: group) }, close: { _ in })
            let member = AlignedStream(scope, group, drift: drift.nanosecondsClamped)
            scope.register(member)
            return Receiver(
                batch: { batch in
                    member.becomesActive()
                    try downstream.batch(batch)
                },
                signal: { signal in
                    member.note(signal)
                    try downstream.signal(signal)
                })
        }
    }
}

/// The watermarks of streams that are aligned with each other.
private final class AlignmentGroup: Sendable {
    private struct Member: Sendable {
        var watermark = EventTime.min
        /// Idle and ended streams don't count.
        var isActive = true
        let stage: String
        var wake: @Sendable () -> Void = {}
    }

    private let members = Mutex<[Int: Member]>([:])

    private let name: String

    init(name: String) {
        self.name = name
    }

    func join(stage: String) -> Int {
        members.withLock { members in
            let id = members.count
            members[id] = Member(stage: stage)
            return id
        }
    }

    /// How a member stands to the others now.
    func status(of id: Int, drift: Int64) -> AlignmentStatus {
        members.withLock { members in
            let own = members[id]?.watermark ?? .min
            let slowest = Self.slowest(members) ?? own
            let isActive = members[id]?.isActive ?? false
            let isHeld = isActive && Self.isAhead(own, of: slowest, by: drift)
            let isKnown = isActive && slowest > .min && slowest < own
            let slow = members.values.filter { $0.isActive && $0.watermark == slowest }
            return AlignmentStatus(
                group: name,
                aheadSeconds: isKnown ? EventTime.seconds(slowest.duration(to: own)) : 0,
                maximumDriftSeconds: Double(drift) / 1e9, isHeld: isHeld,
                waitsFor: isHeld ? slow.map(\.stage).sorted() : [])
        }
    }

    /// Takes a change of a member in, and wakes the others when the slowest of all is another time.
    func change(
        _ id: Int, wake: @escaping @Sendable () -> Void, watermark: EventTime?, isActive: Bool
    ) {
        let wakes = members.withLock { members -> [@Sendable () -> Void] in
            let before = Self.slowest(members)
            if let watermark { members[id]?.watermark = watermark }
            members[id]?.isActive = isActive
            members[id]?.wake = wake
            if Self.slowest(members) == before { return [] }
            return members.filter { $0.key != id }.map(\.value.wake)
        }
        for wake in wakes { wake() }
    }

    func isAhead(_ watermark: EventTime, by drift: Int64) -> Bool {
        members.withLock { members in
            guard let slowest = Self.slowest(members) else { return false }
            return Self.isAhead(watermark, of: slowest, by: drift)
        }
    }

    private static func isAhead(
        _ watermark: EventTime, of slowest: EventTime, by drift: Int64
    ) -> Bool {
        if slowest == .min { return watermark > .min }
        return watermark > slowest.advanced(byNanoseconds: drift)
    }

    private static func slowest(_ members: [Int: Member]) -> EventTime? {
        members.values.lazy.filter(\.isActive).map(\.watermark).min()
    }
}

/// One of the streams that are aligned.
///
/// It holds nothing itself: that its stage takes no more is all it does. Its watermark comes anew after a restore.
private final class AlignedStream: AsyncWork {
    private unowned let scope: StageScope
    private let group: AlignmentGroup
    private let drift: Int64
    private let id: Int
    private var watermark = EventTime.min
    private var isActive = true
    /// The newest checkpoint whose barrier has come.
    private var checkpoint = 0

    init(_ scope: StageScope, _ group: AlignmentGroup, drift: Int64) {
        self.scope = scope
        self.group = group
        self.drift = drift
        let id = group.join(stage: scope.name)
        self.id = id
        scope.metrics.show(alignment: { group.status(of: id, drift: drift) })
        scope.isAligned = true
        scope.onBarrier { [unowned self] in checkpoint = $0 }
    }

    var isIdle: Bool { true }
    var isReadyForCheckpoint: Bool { true }
    var isSaturated: Bool {
        isActive && group.isAhead(watermark, by: drift) && !isAwaitingBarrier
    }

    /// Whether a barrier may wait behind what is held back: the others may have come to wait for it
    /// by then, before they have caught up.
    private var isAwaitingBarrier: Bool {
        // A source's stage takes it as soon as there is a position to go on from.
        if scope.isSource, !scope.isBetweenPositions { return false }
        return (scope.environment.checkpoints?.underWay ?? 0) > checkpoint
    }

    func collect() {}

    func stop() async {
        report(nil, isActive: false)
    }

    func becomesActive() {
        if !isActive { report(nil, isActive: true) }
    }

    func note(_ signal: Signal) {
        switch signal {
        case .end, .watermark(.max): report(nil, isActive: false)
        case .idle: report(nil, isActive: false)
        case .watermark(let time): report(time, isActive: true)
        }
    }

    private func report(_ time: EventTime?, isActive: Bool) {
        if let time { watermark = time }
        self.isActive = isActive
        group.change(id, wake: scope.wake, watermark: time, isActive: isActive)
    }
}
