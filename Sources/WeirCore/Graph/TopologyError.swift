/// What is wrong with a topology, found before any socket opens or any event flows.
public struct TopologyError: Error, Sendable, CustomStringConvertible {
    /// The kind of a problem.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name.
        public let description: String

        /// Nothing is in the topology.
        public static let empty = Code(description: "empty")
        /// Two stages, sources or sinks have the same name or endpoint.
        public static let duplicateName = Code(description: "duplicateName")
        /// Something is not connected to what it needs.
        public static let unconnected = Code(description: "unconnected")
        /// An operator in event time has no event times.
        public static let missingEventTime = Code(description: "missingEventTime")
        /// An argument is outside of what is allowed.
        public static let invalidArgument = Code(description: "invalidArgument")
        /// State that a store would have to keep isn't Codable.
        public static let notStorable = Code(description: "notStorable")
    }

    /// One problem, with its place and what to do.
    public struct Problem: Sendable, CustomStringConvertible {
        /// The kind of the problem.
        public let code: Code
        /// What is wrong and how to mend it.
        public let message: String
        let location: SourceLocation?

        init(code: Code, message: String, location: SourceLocation? = nil) {
            self.code = code
            self.message = message
            self.location = location
        }

        /// The place in the code and the message.
        public var description: String {
            location.map { "\($0): \(message)" } ?? message
        }
    }

    /// The topology's name.
    public let topology: String

    /// All that is wrong, at least one problem.
    public let problems: [Problem]

    /// All problems, one a line.
    public var description: String {
        "topology '\(topology)' can't run:\n"
            + problems.map { "  - \($0)" }.joined(separator: "\n")
    }
}
