/// A topology cut into stages: which operators run fused in one actor, and which edges become mailboxes.
package struct Plan: Sendable {
    /// An edge into a stage.
    package struct Edge: Sendable {
        /// The stage and node the events come from.
        package let from: Int
        package let node: Int
        package let output: Int
        /// The stage they go to, and which of its head's inputs.
        package let to: Int
        package let input: Int
        package let isKeyed: Bool
    }

    package struct Stage: Sendable {
        package let index: Int
        package var name: String
        package var isExplicitlyNamed: Bool
        /// The nodes in the order of the flow; the first is the head.
        package var nodes: [Int]
        package var mailbox = MailboxPolicy.default
        package var supervisor: Supervisor?
        package var parallelism: Int?
        package var isKeyed = false

        package var head: Int { nodes[0] }
    }

    /// The way back from the end of a loop to its head, which is no edge: nothing waits for room on it.
    package struct Loop: Sendable {
        package let id: LoopID
        package let head: Int
        package let tail: Int
        /// The stages that are on a way from the head to the end.
        package let stages: Set<Int>
    }

    package private(set) var nodes: [Node] = []
    package private(set) var stages: [Stage] = []
    package private(set) var edges: [Edge] = []
    package private(set) var loops: [Loop] = []
    package private(set) var problems: [TopologyError.Problem] = []
    /// The stage of each node.
    package private(set) var stageOfNode: [Int] = []
    /// Who takes the events of a node's output: (consumer node, its input).
    package private(set) var consumers: [[[(node: Int, input: Int)]]] = []
    private var indexOfNode: [ObjectIdentifier: Int] = [:]
    private var supervisors: [String: Supervisor] = [:]
    private var tapped: [TapID: (node: Int, output: Int)] = [:]

    package init(_ pipelines: [Pipeline]) {
        for pipeline in pipelines {
            if case .node(let node) = pipeline.part { visit(node) }
        }
        resolveTaps()
        connect()
        cutIntoStages()
        nameStages()
        collectEdges()
        findLoops()
    }

    /// Numbers the nodes so that inputs come before the nodes they feed.
    private mutating func visit(_ node: Node) {
        if indexOfNode[ObjectIdentifier(node)] != nil { return }
        for input in node.inputs { visit(input.node) }
        for companion in node.companions { visit(companion) }
        indexOfNode[ObjectIdentifier(node)] = nodes.count
        nodes.append(node)
        for (tap, output) in node.traits.taps {
            if tapped[tap] == nil {
                tapped[tap] = (nodes.count - 1, output)
            } else if tap.isExclusive {
                problems.append(
                    .init(
                        code: .invalidArgument,
                        message:
                            "the \(tap.label) of another one are given to this: each has its own",
                        location: node.location))
            }
        }
        if let problem = node.traits.problem { report(problem, at: node) }
    }

    private mutating func report(_ problem: String, at node: Node) {
        problems.append(.init(code: .invalidArgument, message: problem, location: node.location))
    }

    private mutating func resolveTaps() {
        for node in nodes {
            guard case .tap(let tap) = node.role, tapped[tap] == nil else { continue }
            problems.append(
                .init(
                    code: .unconnected,
                    message: """
                        '.\(node.kind)' of \(tap.label) is used, but nothing else of it: \(tap.remedy)
                        """, location: node.location))
        }
    }

    /// The node that really produces an input: taps stand for a further output of another node.
    private func producer(of input: Node.Input) -> (node: Int, output: Int)? {
        guard let index = indexOfNode[ObjectIdentifier(input.node)] else { return nil }
        guard case .tap(let tap) = nodes[index].role else { return (index, input.output) }
        return tapped[tap]
    }

    private mutating func connect() {
        consumers = nodes.map { Array(repeating: [], count: $0.traits.outputs) }
        for (index, node) in nodes.enumerated() {
            for (position, input) in node.inputs.enumerated() {
                guard let producer = producer(of: input) else { continue }
                consumers[producer.node][producer.output].append((index, position))
            }
        }
    }

    private mutating func cutIntoStages() {
        stageOfNode = Array(repeating: -1, count: nodes.count)
        // A tap's consumer may come before the tapped node in number: go on until all are placed.
        var unplaced = Array(nodes.indices)
        while !unplaced.isEmpty {
            let before = unplaced.count
            unplaced.removeAll { place($0) }
            if unplaced.count == before { break }
        }
    }

    private mutating func place(_ index: Int) -> Bool {
        let node = nodes[index]
        if case .tap = node.role { return true }
        if node.isBoundary {
            stageOfNode[index] = stages.count
            stages.append(
                Stage(
                    index: stages.count, name: node.name ?? "",
                    isExplicitlyNamed: node.name != nil, nodes: [index],
                    parallelism: node.traits.isKeyed ? node.parallelism : 1,
                    isKeyed: node.traits.isKeyed))
            return true
        }
        guard let input = node.inputs.first, let producer = producer(of: input) else { return true }
        let stage = stageOfNode[producer.node]
        guard stage >= 0 else { return false }
        stageOfNode[index] = stage
        stages[stage].nodes.append(index)
        if case .attribute(let attribute) = node.role {
            switch attribute {
            case .mailbox(let policy):
                if case .conflate = stages[stage].mailbox.overflow.kind {
                    report(
                        "conflate has a mailbox of its own, which this would replace: give its capacity to "
                            + "conflate(capacity:)", at: node)
                }
                stages[stage].mailbox = policy
            case .supervisor(let supervisor):
                if let problem = supervisor.problem { report(problem, at: node) }
                checkName(of: supervisor, at: node)
                stages[stage].supervisor = supervisor
            }
        }
        return true
    }

    /// Supervisors of one name are one, so they have to say the same.
    private mutating func checkName(of supervisor: Supervisor, at node: Node) {
        if let name = supervisor.name {
            let known = supervisors[name, default: supervisor]
            supervisors[name] = known
            if known != supervisor {
                report(
                    "two supervisors with different settings are named '\(name)': stages that share one are given "
                        + "the same value", at: node)
            }
        }
        if let parent = supervisor.parent { checkName(of: parent, at: node) }
    }

    private mutating func nameStages() {
        var used: [String: SourceLocation] = [:]
        for stage in stages where stage.isExplicitlyNamed {
            if let other = used[stage.name] {
                problems.append(
                    .init(
                        code: .duplicateName,
                        message: """
                            two stages are named '\(stage.name)' (the other at \(other)): give each its own name, \
                            it identifies the stage in checkpoints and metrics
                            """, location: nodes[stage.head].location))
            }
            used[stage.name] = nodes[stage.head].location
        }
        var counts: [String: Int] = [:]
        for index in stages.indices where !stages[index].isExplicitlyNamed {
            let kind = nodes[stages[index].head].kind
            var name: String
            repeat {
                counts[kind, default: 0] += 1
                let count = counts[kind, default: 1]
                name = count == 1 ? kind : "\(kind)-\(count)"
            } while used[name] != nil
            stages[index].name = name
            used[name] = nodes[stages[index].head].location
        }
    }

    private mutating func collectEdges() {
        for stage in stages {
            for (position, input) in nodes[stage.head].inputs.enumerated() {
                guard let producer = producer(of: input) else { continue }
                edges.append(
                    Edge(
                        from: stageOfNode[producer.node], node: producer.node,
                        output: producer.output, to: stage.index, input: position,
                        isKeyed: input.isKeyed))
            }
        }
    }

    private mutating func findLoops() {
        for (tail, node) in nodes.enumerated() {
            guard case .tail(let id) = node.traits.loop else { continue }
            let head = nodes.firstIndex {
                if case .head(id) = $0.traits.loop { true } else { false }
            }
            let above = ancestors(of: stageOfNode[tail])
            if let head, above.contains(stageOfNode[head]) {
                let below = descendants(of: stageOfNode[head])
                loops.append(
                    Loop(id: id, head: head, tail: tail, stages: above.intersection(below)))
            } else {
                problems.append(
                    .init(
                        code: .unconnected,
                        message: """
                            what the loop '\(id.name)' feeds back does not come from the loop: make it from the stream \
                            that the body is given
                            """, location: node.location))
            }
        }
    }

    /// The channels by which loops come into a stage.
    ///
    /// - Parameter channels: The channels of an edge, by its number.
    package func loopChannels(
        of stage: Int, channels: (_ edge: Int) -> Range<Int>
    ) -> [LoopID: Set<Int>] {
        var result: [LoopID: Set<Int>] = [:]
        for loop in loops where loop.stages.contains(stage) && stageOfNode[loop.head] != stage {
            for (index, edge) in edges.enumerated()
            where edge.to == stage && loop.stages.contains(edge.from) {
                result[loop.id, default: []].formUnion(channels(index))
            }
        }
        return result
    }

    /// The number of instances of a stage under a default for keyed stages that don't say.
    package func parallelism(of stage: Int, default value: Int) -> Int {
        min(max(1, stages[stage].parallelism ?? value), KeyGroup.count)
    }

    /// The stages whose events reach this one, itself included.
    package func ancestors(of stage: Int) -> Set<Int> {
        reached(from: stage) { ($0.to, $0.from) }
    }

    /// The stages that this one's events reach, itself included.
    private func descendants(of stage: Int) -> Set<Int> {
        reached(from: stage) { ($0.from, $0.to) }
    }

    /// - Parameter direction: Between which stages an edge leads, in the direction of the search.
    private func reached(
        from stage: Int, _ direction: (Edge) -> (from: Int, to: Int)
    ) -> Set<Int> {
        let steps = edges.map(direction)
        var result: Set<Int> = [stage]
        var open = [stage]
        while let next = open.popLast() {
            for (from, to) in steps where from == next && result.insert(to).inserted {
                open.append(to)
            }
        }
        return result
    }

    // MARK: Building a stage instance

    /// The receivers of a stage's head, one per input, with everything fused behind them.
    ///
    /// Runs on the stage's actor.
    ///
    /// - Parameter targets: Where the deliveries of an edge go: the instances of the receiving stage.
    package func buildHead(
        of stage: Int, _ scope: StageScope, targets: (Edge) -> [PortTarget]
    ) -> [AnyReceiver] {
        build(node: stages[stage].head, stage: stage, scope, targets)
    }

    private func build(
        node index: Int, stage: Int, _ scope: StageScope, _ targets: (Edge) -> [PortTarget]
    ) -> [AnyReceiver] {
        let outputs = consumers[index].indices.map { output in
            consumers[index][output].map { consumer -> AnyReceiver in
                if stageOfNode[consumer.node] == stage && !nodes[consumer.node].isBoundary {
                    return build(node: consumer.node, stage: stage, scope, targets)[consumer.input]
                }
                let edge = Edge(
                    from: stage, node: index, output: output, to: stageOfNode[consumer.node],
                    input: consumer.input,
                    isKeyed: nodes[consumer.node].inputs[consumer.input].isKeyed)
                let input = nodes[consumer.node].inputs[consumer.input]
                let port = OutputPort(
                    targets: targets(edge), partition: input.partition,
                    batchSize: scope.environment.batchSize, metrics: scope.metrics)
                scope.register(port)
                return input.receiver(scope, port)
            }
        }
        scope.beginNode(nodes[index].kind)
        return nodes[index].build(scope, outputs)
    }
}
