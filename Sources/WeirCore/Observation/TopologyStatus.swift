/// How a running topology is doing: a value, to be printed, encoded or looked into.
public struct TopologyStatus: Sendable, Codable {
    /// The topology's name.
    public var topology: String

    /// When this was seen, in processing time.
    public var time: EventTime

    /// Seconds over which rates and ratios are measured: since the last call, or since the start.
    public var intervalSeconds: Double

    /// The stages, in the order of the flow.
    public var stages: [StageStatus]

    /// The edges between stages.
    public var edges: [EdgeStatus]

    /// The supervisors that have children.
    public var supervisors: [SupervisorStatus]

    /// The stage that holds the others up, if one does.
    public var bottleneck: Bottleneck?

    /// The events that could not be handled, since the start.
    public var deadLetters: Int

    /// The connections that sources and sinks have made to other systems, by their stages' names.
    public var connections: [ConnectionStatus] = []

    /// The stage of this name.
    public func stage(_ name: String) -> StageStatus? { stages.first { $0.name == name } }
}

/// How one stage is doing, all its instances together.
public struct StageStatus: Sendable, Codable {
    /// The stage's name.
    public var name: String
    /// The number of actors it runs as; 0 for an outlet.
    public var instances: Int
    /// Whether it is held by `pause()`.
    public var isPaused: Bool
    /// What it does: `idle`, `handling`, `writing`, `awaiting calls`, `aligning`, `restarting`,
    /// `blocked`, `paused` or `ended`.
    public var activity: String
    /// Events taken since the start.
    public var eventsIn: Int
    /// Events emitted or written since the start.
    public var eventsOut: Int
    /// Events taken per second of the interval.
    public var eventsInPerSecond: Double
    /// Events emitted or written per second of the interval.
    public var eventsOutPerSecond: Double
    /// The part of the interval it worked or waited for something outside, 0...1.
    public var busyRatio: Double
    /// The part of the interval it had nothing to do, 0...1.
    public var idleRatio: Double
    /// The part of the interval it waited for room downstream, 0...1.
    public var blockedRatio: Double
    /// Events that wait in its mailboxes.
    public var mailboxDepth: Int
    /// Events that its mailboxes can hold.
    public var mailboxCapacity: Int
    /// How long the stage has been at what it took last, while more waits; 0 when nothing waits.
    public var oldestSeconds: Double
    /// The event time up to which its inputs are complete; nil without event time.
    public var watermark: EventTime?
    /// Processing time minus watermark; nil without event time or when the inputs have ended.
    public var watermarkLagSeconds: Double?
    /// The stage or stages whose stream holds the watermark back, when the stage has several inputs.
    public var watermarkHeldBackBy: [String]
    /// Events that came after the watermark.
    public var late: Int
    /// Events dropped, by reason.
    public var dropped: [String: Int]
    /// Events it sent to the dead letters.
    public var deadLetters: Int
    /// Restarts, of the stage and of its source.
    public var restarts: Int
    /// Keys that have state.
    public var stateKeys: Int
    /// Timers that are set.
    public var timers: Int
    /// Further numbers of what its operators keep, by the names of their metrics, such as `weir_join_rows`.
    public var gauges: [String: Double]
    /// How its stream stands to those that it is aligned with; nil if it is not.
    public var alignment: AlignmentStatus?

    /// The fill of its mailboxes, 0...1; more when a single batch is larger than the mailbox.
    public var mailboxFill: Double {
        mailboxCapacity > 0 ? Double(mailboxDepth) / Double(mailboxCapacity) : 0
    }
}

/// How one edge between two stages is doing.
public struct EdgeStatus: Sendable, Codable {
    /// The sending stage.
    public var from: String
    /// The receiving stage.
    public var to: String
    /// Seconds that the sender has waited for the receiver since the start.
    public var blockedSeconds: Double
    /// The part of the interval that the sender waited for the receiver, 0...1.
    public var blockedRatio: Double
    /// Whether the sender waits at this moment.
    public var isBlocked: Bool
    /// The fill of the receiver's mailbox, 0...1.
    public var fill: Double
}

/// How often the children of a supervisor have restarted.
public struct SupervisorStatus: Sendable, Codable {
    /// The supervisor's name; `root` for the topology's own.
    public var name: String
    /// Its strategy's name.
    public var strategy: String
    /// Failures it has answered with a restart, since the start.
    public var restarts: Int
}

/// The stage that holds a topology up, and how that is known.
public struct Bottleneck: Sendable, Codable, CustomStringConvertible {
    /// The stage's name.
    public var stage: String
    /// What is the matter: `slow`, `stalled`, `paused` or `unread`.
    public var kind: String
    /// The observation from which that follows.
    public var evidence: String

    /// The stage and the evidence.
    public var description: String { "\(stage) (\(kind)): \(evidence)" }
}
