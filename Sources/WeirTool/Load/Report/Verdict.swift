/// Says who held a load up: the target, or what generates the load.
enum Verdict {
    typealias Judgement = (bottleneck: String, verdict: String)

    /// A generator that is this late at its 99th percentile has not sent the load asked for.
    static let latenessMicrosecondsMax = 10_000.0
    /// The part of the rate asked for that counts as reached.
    static let achievedMin = 0.99

    static func judge(
        _ plan: LoadPlan, _ record: LoadRecord, lateness: LoadReport.Percentiles,
        latency: LoadReport.Percentiles, achieved: Double
    ) -> Judgement {
        if record.refused > 0 {
            return (
                "target",
                """
                The target answered \(record.refused) requests with a status that was not \
                expected; their times are not in the percentiles.
                """
            )
        }
        // Lateness is in the latencies: only a part of them that counts makes it the limit.
        if lateness.p99 > max(latenessMicrosecondsMax, latency.p50 / 10) {
            return (
                "generator",
                """
                The generator was late: it, or the machine it shares, held the load up. \
                The latencies are not the target's alone.
                """
            )
        }
        if record.unsent > 0 || record.unfinished > 0 {
            return (
                "target",
                "The target did not take or answer every message in time."
                    + busy(plan, record)
            )
        }
        if achieved < achievedMin {
            return ("target", "The target held the load up." + busy(plan, record))
        }
        if lateness.p99 > latency.p50 {
            return (
                "none",
                """
                The load was sent as asked, but the generator was late by more than the median \
                latency at times: the high percentiles may be its own.
                """
            )
        }
        return ("none", "The load was sent as asked." + busy(plan, record))
    }

    /// A note on requests that waited because all connections were busy.
    private static func busy(_ plan: LoadPlan, _ record: LoadRecord) -> String {
        let waited = record.waitedForConnection
        guard waited * 100 > record.due else { return "" }
        let most = plan.connections * plan.http.pipeline
        return """
             \(waited) of \(record.due) requests found all connections busy, and waited: at most \
            \(most) were under way at one time. If clients of the target's are more than that, \
            give more --connections.
            """
    }
}
