/// Which stretch of the past is replayed, and how.
public struct ReplayOptions: Sendable {
    /// A place in a source's ingest journal.
    public enum Point: Sendable, Hashable {
        /// The record of this number, counted from 0 over the whole life of the journal.
        case record(Int)
        /// The first record that was read at this time or later.
        case time(EventTime)
        /// So many events of the source behind the start; for an end.
        case event(Int)
    }

    /// Whose state a replay begins with.
    public enum Start: Sendable, Hashable {
        /// The newest checkpoint or savepoint at or before the first record; empty state when the
        /// journal reaches back to the beginning.
        case automatic
        /// Empty state.
        case empty
        /// The checkpoint of this number.
        case checkpoint(Int)
        /// The savepoint of this name.
        case savepoint(String)
    }

    /// The name of the source; nil when only one has an ingest journal.
    public var source: String?
    /// The first record whose events count; nil for as early as the state allows.
    public var from: Point?
    /// Where it ends, exclusive; nil for the journal's end.
    public var to: Point?
    /// The state to begin with.
    public var start = Start.automatic
    /// How many times as fast as it happened; nil, the default, for at full speed.
    public var speed: Double?
    /// Whether the streams end behind the last record, so that windows fire; else they stand still.
    public var endsStreams = false
    /// Shows the state around each event.
    ///
    /// Default: no.
    public var steps = false
    /// Shows only the state of this key, and only events that touch it.
    public var key: String?

    /// All of the past that can be replayed, at full speed.
    public init() {}
}

/// An event that a sink would have got.
public struct ReplayedEvent: Sendable {
    /// The name of the sink's stage, or of the outlet.
    public let sink: String
    /// The event.
    public let event: any Sendable

    /// The event as JSON; its description as a string when it isn't Encodable.
    public var json: String { EventText.json(event) }
}

/// An event of a replay, and what it has changed.
public struct ReplayStep: Sendable, Codable {
    /// A value of a stage's state, before and after.
    public struct Change: Sendable, Codable, Hashable {
        /// The stage.
        public var stage: String
        /// The state within the stage.
        public var state: String
        /// The key; nil for state that isn't kept by key.
        public var key: String?
        /// The value before the event as text like JSON; nil for none.
        public var before: String?
        /// The value after the event; nil for none.
        public var after: String?
    }

    /// The source.
    public var source: String
    /// The number of the journal's record.
    public var record: Int
    /// Which of the record's messages.
    public var message: Int
    /// When it was read.
    public var time: EventTime
    /// The event as JSON; nil when the message could not be decoded.
    public var event: String?
    /// What it has changed, and of the chosen key also what it hasn't.
    public var changes: [Change]
}

/// What a replay has done.
public struct ReplayReport: Sendable, Codable {
    /// The topology's name.
    public var topology: String
    /// The source that decided where the stretch begins and ends.
    public var source: String
    /// The checkpoint with whose state it began; nil for empty state.
    public var checkpoint: Int?
    /// The first record that counted.
    public var from: Int
    /// Behind the last record.
    public var to: Int
    /// Records that counted, of all sources.
    public var records = 0
    /// Events that counted.
    public var events = 0
    /// Records before the first that were replayed for the state alone.
    public var warmUpRecords = 0
    /// Events that sinks would have got.
    public var emitted = 0
    /// Messages and events that ended in the dead letters.
    public var deadLetters = 0
    /// Virtual time of the first and of the last record.
    public var firstTime: EventTime?
    /// Virtual time of the last record.
    public var lastTime: EventTime?
    /// Sources without an ingest journal, which sent nothing.
    public var silentSources: [String] = []
    /// Whether state from before the first record is missing.
    public var lacksState = false
}

/// A replay that can't be done.
public struct ReplayError: Error, Sendable, CustomStringConvertible {
    /// Why not, and what to do.
    public let description: String

    package init(_ description: String) {
        self.description = description
    }
}
