/// The largest value that a number has had lately: in the last one to two minutes.
///
/// It is for sizes that are bounded for each key: to look at all keys would cost too much.
@usableFromInline
package final class RecentPeak {
    static let span = Duration.seconds(60)

    @exclusivity(unchecked) @usableFromInline var current = 0
    private var previous = 0
    private var since: EventTime

    init(at now: EventTime) {
        since = now
    }

    @inlinable
    @inline(__always)
    package func note(_ value: Int) {
        if value > current { current = value }
    }

    /// The largest value since a time between one and two spans before now; longer ago when nobody
    /// has asked for so long.
    func value(at now: EventTime) -> Int {
        let peak = max(previous, current)
        if since.duration(to: now) >= Self.span {
            previous = current
            current = 0
            since = now
        }
        return peak
    }
}

extension StageScope {
    /// Shows how near the fullest key has come to its bound lately.
    @usableFromInline
    package func makePeak(
        _ gauge: StageGauge, limit: Int, _ limitGauge: StageGauge
    ) -> RecentPeak {
        let peak = RecentPeak(at: now)
        show(gauge) { [unowned self] in peak.value(at: now) }
        metrics.show(live: limitGauge) { Double(limit) }
        return peak
    }
}
