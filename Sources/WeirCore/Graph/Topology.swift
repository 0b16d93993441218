/// A named graph of sources, operators and sinks: a value that can be checked, drawn and run.
public struct Topology: Sendable {
    /// The name, which metrics and logs carry.
    public let name: String

    /// The supervisor above all stages that have none of their own.
    public var supervisor: Supervisor

    package let pipelines: [Pipeline]
    package let plan: Plan

    /// Describes a topology; nothing runs yet.
    ///
    /// - Parameters:
    ///   - name: The topology's name.
    ///   - supervisor: The root supervisor; when it gives up, the run ends with the error.
    ///   - content: The branches, each ending in a sink.
    public init(
        _ name: String, supervisor: Supervisor = Supervisor(),
        @TopologyBuilder _ content: () -> [Pipeline]
    ) {
        self.name = name
        self.supervisor = supervisor
        pipelines = content()
        plan = Plan(pipelines)
    }

    package var components: [any TopologyComponent] {
        pipelines.compactMap {
            if case .component(let component) = $0.part { component } else { nil }
        }
    }

    /// Checks what the compiler can't: names, endpoints, event times, arguments.
    ///
    /// - Throws: A ``TopologyError`` with every problem found.
    public func validate() throws(TopologyError) {
        var problems = plan.problems
        if plan.nodes.isEmpty {
            problems.append(
                .init(
                    code: .empty,
                    message: "there is no stream in it: add EventStream(…, from: …) … .sink(…)"))
        }
        problems += duplicateEndpoints() + missingEventTimes() + badArguments()
        problems += badComponents()
        if let problem = supervisor.problem {
            problems.append(.init(code: .invalidArgument, message: problem))
        }
        if !problems.isEmpty { throw TopologyError(topology: name, problems: problems) }
    }

    private func duplicateEndpoints() -> [TopologyError.Problem] {
        var used: [String: SourceLocation] = [:]
        var problems: [TopologyError.Problem] = []
        for node in plan.nodes {
            guard let endpoint = node.endpoint else { continue }
            if let other = used[endpoint] {
                problems.append(
                    .init(
                        code: .duplicateName,
                        message: """
                            \(endpoint) is used twice (the other at \(other)): merge the streams in front of one sink, \
                            or use the source's stream twice
                            """, location: node.location))
            }
            used[endpoint] = node.location
        }
        return problems
    }

    private func missingEventTimes() -> [TopologyError.Problem] {
        plan.nodes.compactMap { node in
            guard node.traits.needsEventTime, !hasEventTime(upstreamOf: node) else { return nil }
            return .init(
                code: .missingEventTime,
                message: """
                    '\(node.name ?? node.kind)' works in event time, but its events have none: put \
                    .eventTime(\\.at, .boundedOutOfOrderness(.seconds(5))) behind the source, or .ingestionTime()
                    """, location: node.location)
        }
    }

    /// Whether every way from a source to the node assigns event times.
    private func hasEventTime(upstreamOf node: Node) -> Bool {
        if case .tap(let tap) = node.role {
            return plan.nodes.contains {
                $0.traits.taps[tap] != nil && hasEventTime(upstreamOf: $0)
            }
        }
        if node.inputs.isEmpty { return false }
        return node.inputs.allSatisfy { input in
            input.node.traits.assignsEventTime || hasEventTime(upstreamOf: input.node)
        }
    }

    private func badArguments() -> [TopologyError.Problem] {
        plan.stages.compactMap { stage in
            guard stage.mailbox.overflow.needsCodable,
                plan.nodes[stage.head].inputs.contains(where: { !$0.isCodable })
            else { return nil }
            return .init(
                code: .invalidArgument,
                message: """
                    the events before stage '\(stage.name)' can't spill to disk: make their type Codable, or \
                    choose another overflow policy
                    """, location: plan.nodes[stage.head].location)
        } + badSizes()
    }

    private func badSizes() -> [TopologyError.Problem] {
        plan.stages.compactMap { stage in
            if stage.mailbox.capacity >= 1 && (stage.parallelism ?? 1) >= 1 { return nil }
            return .init(
                code: .invalidArgument,
                message:
                    "the stage '\(stage.name)' needs a capacity and a parallelism of at least 1",
                location: plan.nodes[stage.head].location)
        }
    }
}
