/// What is in a store, as far as its files show it: what `weir inspect` prints.
package struct StoreContents: Codable, Sendable {
    /// A checkpoint or savepoint.
    package struct Snapshot: Codable, Sendable {
        /// The number of the checkpoint; nil for a savepoint without a readable manifest.
        package var checkpoint: Int?
        package var savepoint: String?
        package var directory: String
        package var isComplete: Bool
        package var takenAt: EventTime?
        package var hasEnded = false
        package var bytes = 0
        package var stages: [Stage] = []
        /// What keeps it from being used.
        package var problem: String?

        /// Entries of all its states.
        package var entries: Int {
            stages.reduce(0) { $0 + $1.states.reduce(0) { $0 + $1.entries } }
        }
    }

    /// What a stage has contributed, over all its instances.
    package struct Stage: Codable, Sendable {
        package var name: String
        package var instances: Int
        package var bytes: Int
        /// The least watermark of its instances; nil before the first one.
        package var watermark: EventTime?
        package var hasEnded: Bool
        package var position: SourcePosition?
        package var states: [Manifest.State]
    }

    /// The ingest journal of a source.
    package struct IngestJournal: Codable, Sendable {
        package struct Segment: Codable, Sendable {
            package var file: String
            package var first: UInt64
            package var bytes: Int
        }

        /// Someone who numbers his messages.
        package struct Producer: Codable, Sendable, Hashable {
            package var name: String
            /// The number of his last durable message.
            package var last: UInt64
        }

        package var source: String
        package var directory: String
        package var bytes = 0
        package var segments: [Segment] = []
        package var firstPosition: UInt64 = 0
        /// Behind the last durable record.
        package var endPosition: UInt64 = 0
        package var records = 0
        /// The keys of records that are encrypted, of which nothing else is known.
        package var keys: [UInt16] = []
        package var messages = 0
        package var firstTime: EventTime?
        package var lastTime: EventTime?
        /// How many producers it tells of.
        package var producerCount = 0
        /// The first of them by name, as many as were asked for.
        package var producers: [Producer] = []
        /// A commit at its end that has not become durable.
        package var tail: String?
        package var problem: String?
    }

    /// A file that is not what was written.
    package struct Damage: Codable, Sendable, Hashable {
        package var file: String
        package var offset: Int?
        package var reason: String
    }

    package var path: String
    package var topology: String?
    /// The process that has, or last had, the store open.
    package var lastProcess: Int?
    package var checkpoints: [Snapshot] = []
    package var savepoints: [Snapshot] = []
    package var ingest: [IngestJournal] = []
    package var damage: [Damage] = []
    /// Whether every byte was read, or only what describes the rest.
    package var isVerified = false
}

/// The store that is asked for isn't there, or lacks what is asked for.
package struct MissingFromStore: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
