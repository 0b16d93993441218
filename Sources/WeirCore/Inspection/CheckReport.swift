/// Whether a topology can go on from a checkpoint, and what keeps it from doing so.
public struct CheckReport: Sendable, Codable, CustomStringConvertible {
    /// Something that keeps the topology from going on.
    public struct Problem: Sendable, Codable, Hashable, CustomStringConvertible {
        /// The stage concerned; nil when it is the whole.
        public var stage: String?
        /// The state within the stage.
        public var state: String?
        /// What the state holds in this topology, such as `table of String to Account`.
        public var type: String?
        /// Where in the value decoding failed, such as `owner.name`.
        public var path: String?
        /// What is wrong and how to mend it.
        public var message: String

        /// The message, which names all the rest.
        public var description: String { message }

        package init(
            stage: String? = nil, state: String? = nil, type: String? = nil, path: String? = nil,
            message: String
        ) {
            self.stage = stage
            self.state = state
            self.type = type
            self.path = path
            self.message = message
        }
    }

    /// A stage with state, in the checkpoint or in the topology.
    public struct Stage: Sendable, Codable, Hashable {
        /// The stage's name.
        public var name: String
        /// Entries that the checkpoint has for it.
        public var entries: Int
        /// Whether the checkpoint knows nothing of it, so that it begins empty.
        public var isNew: Bool
    }

    /// The topology's name.
    public var topology: String
    /// The path of the store.
    public var store: String
    /// The number of the checkpoint.
    public var checkpoint: Int
    /// The savepoint's name, if it is one.
    public var savepoint: String?
    /// When it was taken.
    public var takenAt: EventTime
    /// Stages with state, in the order of the flow.
    public var stages: [Stage] = []
    /// What keeps the topology from going on; empty when nothing does.
    public var problems: [Problem] = []

    /// Whether a run would go on from the checkpoint.
    public var loads: Bool { problems.isEmpty }

    /// The result, and each stage or problem on a line.
    public var description: String {
        let name = savepoint.map { "savepoint '\($0)'" } ?? "checkpoint \(checkpoint)"
        var lines = [
            loads
                ? "'\(topology)' loads \(name) of \(takenAt)"
                : "'\(topology)' can't load \(name) of \(takenAt):"
        ]
        lines += problems.map { "  - \($0)" }
        lines += stages.map { stage in
            stage.isNew
                ? "  \(stage.name): new, begins empty"
                : "  \(stage.name): \(stage.entries) entr\(stage.entries == 1 ? "y" : "ies")"
        }
        return lines.joined(separator: "\n")
    }
}
