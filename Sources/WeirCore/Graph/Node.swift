/// A node of a topology: an operator, a source or a sink, with where its events come from.
///
/// Immutable.
@usableFromInline
package final class Node: Sendable {
    /// Where an input's events come from, and how they travel if that is another stage.
    @usableFromInline
    package struct Input: Sendable {
        package let node: Node
        package let output: Int
        /// Splits a batch over the instances of a keyed stage; nil for an edge to a single instance.
        package let partition: (@Sendable (any AnyBatch, Int) -> [(any AnyBatch)?])?
        /// Makes the receiver that feeds the edge's port; the closure knows the element type.
        package let receiver: @Sendable (StageScope, OutputPort) -> AnyReceiver
        /// Whether the events can go to disk.
        package let isCodable: Bool

        package var isKeyed: Bool { partition != nil }

        @usableFromInline
        package init(
            node: Node, output: Int,
            partition: (@Sendable (any AnyBatch, Int) -> [(any AnyBatch)?])?,
            isCodable: Bool = true,
            receiver: @escaping @Sendable (StageScope, OutputPort) -> AnyReceiver
        ) {
            self.node = node
            self.output = output
            self.partition = partition
            self.receiver = receiver
            self.isCodable = isCodable
        }
    }

    /// What a node is to the planner.
    package enum Role: Sendable {
        case source(SourceDefinition)
        case transform
        case sink(SinkDefinition)
        /// Changes the stage it stands in, not the events.
        case attribute(StageAttribute)
        /// A further output of a node that is found by its tap, such as the late events of a window.
        case tap(TapID)
    }

    package let kind: String
    package let name: String?
    package let inputs: [Input]
    package let role: Role
    /// Whether the node begins a stage of its own.
    package let isBoundary: Bool
    /// How many instances a keyed stage runs as; nil for what the run's configuration says.
    package let parallelism: Int?
    package let traits: NodeTraits
    /// Nodes that belong to the topology with this one, though nothing comes from them.
    package let companions: [Node]
    package let location: SourceLocation
    /// Makes the receivers of the inputs from those of the outputs' consumers, on the stage's actor.
    package let build: @Sendable (StageScope, [[AnyReceiver]]) -> [AnyReceiver]

    /// A transforming node.
    @usableFromInline
    package convenience init(
        kind: String, name: String? = nil, inputs: [Input], isBoundary: Bool,
        parallelism: Int? = nil, traits: NodeTraits = NodeTraits(), companions: [Node] = [],
        location: SourceLocation,
        build: @escaping @Sendable (StageScope, [[AnyReceiver]]) -> [AnyReceiver]
    ) {
        self.init(
            kind: kind, name: name, inputs: inputs, role: .transform, isBoundary: isBoundary,
            parallelism: parallelism, traits: traits, companions: companions, location: location,
            build: build)
    }

    /// A source.
    @usableFromInline
    package convenience init(
        source: SourceDefinition, kind: String, name: String, location: SourceLocation,
        build: @escaping @Sendable (StageScope, [[AnyReceiver]]) -> [AnyReceiver]
    ) {
        self.init(
            kind: kind, name: name, inputs: [], role: .source(source), isBoundary: true,
            location: location, build: build)
    }

    /// A sink.
    @usableFromInline
    package convenience init(
        sink: SinkDefinition, kind: String, name: String?, input: Input,
        location: SourceLocation,
        build: @escaping @Sendable (StageScope, [[AnyReceiver]]) -> [AnyReceiver]
    ) {
        self.init(
            kind: kind, name: name, inputs: [input], role: .sink(sink), isBoundary: true,
            location: location, build: build)
    }

    package init(
        kind: String, name: String? = nil, inputs: [Input], role: Role, isBoundary: Bool,
        parallelism: Int? = nil, traits: NodeTraits = NodeTraits(), companions: [Node] = [],
        location: SourceLocation,
        build: @escaping @Sendable (StageScope, [[AnyReceiver]]) -> [AnyReceiver]
    ) {
        self.companions = companions
        self.kind = kind
        self.name = name
        self.inputs = inputs
        self.role = role
        self.isBoundary = isBoundary
        self.parallelism = parallelism
        self.traits = traits
        self.location = location
        self.build = build
    }
}

/// What validation needs to know of a node.
@usableFromInline
package struct NodeTraits: Sendable {
    /// The number of outputs; output 0 is the main one.
    package var outputs = 1
    /// Event times are assigned here.
    package var assignsEventTime = false
    /// Whether quiet time is counted here.
    package var detectsIdleness = false
    /// Event times must have been assigned upstream.
    package var needsEventTime = false
    /// Which outputs `.late` and the like find here.
    package var taps: [TapID: Int] = [:]
    /// Input 0 is split by key.
    package var isKeyed = false
    /// Inputs with lower numbers are taken first, and so many events may pass one that waits; nil for the order of
    /// arrival.
    package var maximumRun: Int?
    /// Which end of which loop this is.
    package var loop: LoopEnd?
    /// A problem that the builder method noticed, reported by `validate()`.
    package var problem: String?

    @usableFromInline
    package init() {}

    @usableFromInline
    package init(
        outputs: Int = 1, assignsEventTime: Bool = false, detectsIdleness: Bool = false,
        needsEventTime: Bool = false, taps: [TapID: Int] = [:], isKeyed: Bool = false,
        maximumRun: Int? = nil, problem: String? = nil
    ) {
        self.outputs = outputs
        self.assignsEventTime = assignsEventTime
        self.detectsIdleness = detectsIdleness
        self.needsEventTime = needsEventTime
        self.taps = taps
        self.isKeyed = isKeyed
        self.maximumRun = maximumRun
        self.problem = problem
    }

    init(loop: LoopEnd, problem: String? = nil) {
        self.loop = loop
        self.problem = problem
    }
}

extension Node {
    /// Stands for a further output of the node that has the tap.
    static func tap(
        _ tap: TapID, _ kind: String, file: StaticString = #fileID, line: UInt = #line
    ) -> Node {
        Node(
            kind: kind, inputs: [], role: .tap(tap), isBoundary: false,
            traits: NodeTraits(assignsEventTime: true), location: SourceLocation(file, line)
        ) { _, _ in [] }
    }
}

/// Identifies a place from which a further output can be taken, across the operators applied to it.
@usableFromInline
package final class TapID: Sendable, Hashable {
    package let label: String
    /// What is to be done when nothing else of it is used.
    package let remedy: String
    /// Whether it belongs to one node alone.
    package let isExclusive: Bool

    package init(_ label: String, remedy: String, isExclusive: Bool = false) {
        self.label = label
        self.remedy = remedy
        self.isExclusive = isExclusive
    }

    @usableFromInline
    package static func == (left: TapID, right: TapID) -> Bool { left === right }

    @usableFromInline
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// A property of the stage that contains the node.
@usableFromInline
package enum StageAttribute: Sendable {
    case mailbox(MailboxPolicy)
    case supervisor(Supervisor)
}

/// A place in the user's code.
@usableFromInline
package struct SourceLocation: Sendable, CustomStringConvertible {
    package let file: String
    package let line: Int

    @usableFromInline
    package init(_ file: StaticString, _ line: UInt) {
        self.file = "\(file)"
        self.line = Int(line)
    }

    @usableFromInline
    package var description: String { "\(file):\(line)" }
}
