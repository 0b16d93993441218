import Histogram

/// What a load measured, as it is written to JSON.
struct LoadReport: Codable, Sendable {
    /// Percentiles in microseconds.
    struct Percentiles: Codable, Sendable {
        let count: UInt64
        let p50: Double
        let p90: Double
        let p99: Double
        let p999: Double
        let maximum: Double

        init(_ histogram: Histogram<UInt64>) {
            func microseconds(_ percentile: Double) -> Double {
                Double(histogram.valueAtPercentile(percentile) / 100) / 10
            }
            count = histogram.totalCount
            p50 = microseconds(50)
            p90 = microseconds(90)
            p99 = microseconds(99)
            p999 = microseconds(99.9)
            maximum = count == 0 ? 0 : microseconds(100)
        }
    }

    let target: String
    /// Connections that were opened.
    let connections: Int
    let seed: UInt64
    let wasInterrupted: Bool
    let askedMessagesPerSecond: Double
    let achievedMessagesPerSecond: Double
    let seconds: Double
    /// Messages that became due.
    let due: Int
    let sent: Int
    /// Nil where no answers were expected.
    let answered: Int?
    /// Messages that were due and that no connection took.
    let unsent: Int
    /// Messages without an answer at the end or, where none is expected, not taken by the kernel.
    let unfinished: Int
    let payloadBytesSent: Int
    let bytesReceived: Int
    /// What `latencyMicroseconds` is: `echo latency` or `send delay`.
    let measured: String
    let latencyMicroseconds: Percentiles
    let generatorLatenessMicroseconds: Percentiles
    let generatorProcessorSeconds: Double
    /// Processor time over wall time: 1 is one core.
    let generatorCores: Double
    let failedConnections: Int
    let unexpectedAnswers: Int
    let failures: [String]
    /// `none`, `generator` or `target`.
    let bottleneck: String
    let verdict: String

    init(
        _ plan: LoadPlan, _ record: LoadRecord, connections: Int, start: UInt64,
        processorNanoseconds: UInt64, wallNanoseconds: UInt64, wasInterrupted: Bool
    ) {
        target = plan.target.url
        self.connections = connections
        seed = plan.seed
        self.wasInterrupted = wasInterrupted
        askedMessagesPerSecond = plan.rate
        // The last message's share of time has to pass as well: n messages take n intervals.
        let last = record.lastSentAt > start ? Double(record.lastSentAt - start) : 0
        let length = max(last, plan.schedule.length(of: record.due))
        achievedMessagesPerSecond = length > 0 ? Double(record.sent) / length * 1e9 : 0
        seconds = Double(wallNanoseconds) / 1e9
        due = record.due
        sent = record.sent
        answered = plan.expectsEcho ? record.answered : nil
        unsent = record.unsent
        unfinished = record.unfinished
        payloadBytesSent = record.bytesSent
        bytesReceived = record.bytesReceived
        measured = plan.expectsEcho ? "echo latency" : "send delay"
        latencyMicroseconds = Percentiles(record.latency)
        generatorLatenessMicroseconds = Percentiles(record.lateness)
        generatorProcessorSeconds = Double(processorNanoseconds) / 1e9
        generatorCores = Double(processorNanoseconds) / Double(max(1, wallNanoseconds))
        failedConnections = record.failedConnections
        unexpectedAnswers = record.unexpectedAnswers
        failures = record.failures
        let achieved = achievedMessagesPerSecond / plan.rate
        (bottleneck, verdict) = Self.judge(
            lateness: generatorLatenessMicroseconds, latency: latencyMicroseconds,
            achieved: achieved, isComplete: record.unsent == 0 && record.unfinished == 0)
    }

    /// A generator that is this late at its 99th percentile has not sent the load asked for.
    static let latenessMicrosecondsMax = 10_000.0

    private static func judge(
        lateness: Percentiles, latency: Percentiles, achieved: Double, isComplete: Bool
    ) -> (bottleneck: String, verdict: String) {
        if lateness.p99 > latenessMicrosecondsMax {
            return (
                "generator",
                """
                The generator was late: it, or the machine it shares, held the load up. \
                The latencies are not the target's alone.
                """
            )
        }
        if !isComplete {
            return ("target", "The target did not take or answer every message in time.")
        }
        if achieved < 0.99 { return ("target", "The target held the load up.") }
        if lateness.p99 > latency.p50 {
            return (
                "none",
                """
                The load was sent as asked, but the generator was late by more than the median \
                latency at times: the high percentiles may be its own.
                """
            )
        }
        return ("none", "The load was sent as asked.")
    }
}
