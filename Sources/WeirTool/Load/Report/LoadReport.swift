import Histogram

/// What a load measured, as it is written to JSON.
struct LoadReport: Codable, Sendable {
    let target: String
    /// How the target is spoken to: `webSocket`, `tcp` or `http`.
    let transport: String
    let isSecure: Bool
    /// Connections that were opened.
    let connections: Int
    let seed: UInt64
    let wasInterrupted: Bool
    /// On average, where it is a ramp.
    let askedMessagesPerSecond: Double
    /// The rate at a ramp's end.
    let lastMessagesPerSecond: Double?
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
    /// Requests answered by a status that was not expected.
    let refused: Int
    /// Responses by their status.
    let statuses: [String: Int]?
    /// Requests that found every connection busy when they became due.
    let waitedForConnection: Int
    let payloadBytesSent: Int
    let bytesReceived: Int
    /// What `latencyMicroseconds` is: `echo latency`, `response latency`,
    /// `acknowledgement latency` or `send delay`.
    let measured: String
    let latencyMicroseconds: Percentiles
    /// From when a message was sent, not from when it was due; nil without answers.
    let sinceSentMicroseconds: Percentiles?
    /// Of the requests whose status was not expected, which `latencyMicroseconds` leaves out.
    let refusedMicroseconds: Percentiles?
    let generatorLatenessMicroseconds: Percentiles
    let generatorProcessorSeconds: Double
    /// Processor time over wall time: 1 is one core.
    let generatorCores: Double
    let failedConnections: Int
    let reconnections: Int
    let acknowledgement: Acknowledgement?
    let unexpectedAnswers: Int
    let failures: [String]
    /// `none`, `generator` or `target`.
    let bottleneck: String
    let verdict: String
    /// `latencyMicroseconds` by percentile.
    let curve: [CurvePoint]
    let generatorCurve: [CurvePoint]
    let perSecond: [Second]
    /// What `--verify` has found.
    var verification: VerificationReport?

    /// What became of messages that were to be acknowledged.
    struct Acknowledgement: Codable, Sendable {
        let acknowledged: Int
        let notAcknowledged: Int
        /// Messages sent once more over a new connection.
        let resent: Int
        /// Nil where the target does not tell, as over TCP.
        let isDurable: Bool?
    }

    init(
        _ plan: LoadPlan, _ record: LoadRecord, connections: Int, _ usage: GeneratorUsage,
        _ perSecond: [Second]
    ) {
        target = plan.target.url
        transport = plan.target.transport.rawValue
        isSecure = plan.target.isSecure
        self.connections = connections
        seed = plan.seed
        wasInterrupted = usage.wasInterrupted
        let schedule = plan.schedule
        askedMessagesPerSecond = schedule.meanRate(of: max(1, record.due))
        lastMessagesPerSecond = plan.lastRate
        // The last message's share of time has to pass as well: n messages take n intervals.
        let last = record.lastSentAt > usage.start ? Double(record.lastSentAt - usage.start) : 0
        let length = max(last, schedule.length(of: record.due))
        achievedMessagesPerSecond = length > 0 ? Double(record.sent) / length * 1e9 : 0
        seconds = Double(usage.wallNanoseconds) / 1e9
        due = record.due
        sent = record.sent
        answered = plan.expectsAnswers ? record.answered : nil
        unsent = record.unsent
        unfinished = record.unfinished
        refused = record.refused
        let isHTTP = plan.target.transport == .http
        statuses =
            isHTTP
            ? Dictionary(uniqueKeysWithValues: record.statuses.map { ("\($0)", $1) }) : nil
        waitedForConnection = record.waitedForConnection
        payloadBytesSent = record.bytesSent
        bytesReceived = record.bytesReceived
        measured = plan.measurement.rawValue
        latencyMicroseconds = Percentiles(record.latency)
        sinceSentMicroseconds = plan.expectsAnswers ? Percentiles(record.sinceSent) : nil
        refusedMicroseconds = record.refused > 0 ? Percentiles(record.refusedLatency) : nil
        generatorLatenessMicroseconds = Percentiles(record.lateness)
        generatorProcessorSeconds = Double(usage.processorNanoseconds) / 1e9
        generatorCores = usage.cores
        failedConnections = record.failedConnections
        reconnections = record.reconnections
        acknowledgement =
            plan.producer == nil
            ? nil
            : Acknowledgement(
                acknowledged: record.answered, notAcknowledged: record.due - record.answered,
                resent: record.resent, isDurable: record.isDurable)
        unexpectedAnswers = record.unexpectedAnswers
        failures = record.failures
        curve = Self.curve(record.latency)
        generatorCurve = Self.curve(record.lateness)
        self.perSecond = perSecond
        (bottleneck, verdict) = Verdict.judge(
            plan, record, lateness: generatorLatenessMicroseconds, latency: latencyMicroseconds,
            achieved: achievedMessagesPerSecond / askedMessagesPerSecond)
    }
}

/// What a load has cost the generator itself.
struct GeneratorUsage: Sendable {
    /// The monotonic time at which the first message was due.
    let start: UInt64
    let processorNanoseconds: UInt64
    let wallNanoseconds: UInt64
    let wasInterrupted: Bool

    var cores: Double { Double(processorNanoseconds) / Double(max(1, wallNanoseconds)) }
}
