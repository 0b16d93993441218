extension Topology: CustomStringConvertible {
    /// The form of a drawing.
    public struct DrawingStyle: Sendable, Hashable {
        enum Kind { case text, mermaid, dot }
        let kind: Kind

        /// Indented text, for a terminal.
        public static let text = DrawingStyle(kind: .text)
        /// A Mermaid flowchart, as Markdown pages show it.
        public static let mermaid = DrawingStyle(kind: .mermaid)
        /// A graph in Graphviz' DOT language.
        public static let dot = DrawingStyle(kind: .dot)
    }

    /// The topology as text.
    public var description: String { drawing(.text) }

    /// Draws the topology: each stage with the operators fused in it, and the edges between them.
    public func drawing(_ style: DrawingStyle) -> String {
        let drawing = Drawing(self)
        switch style.kind {
        case .text: return drawing.text
        case .mermaid: return drawing.mermaid
        case .dot: return drawing.dot
        }
    }
}

/// What is drawn of a topology.
struct Drawing {
    struct Edge {
        let from: Int
        let to: Int
        /// The operators at its two ends.
        let fromNode: Int
        let toNode: Int
        let label: String
    }

    let name: String
    let plan: Plan

    init(_ topology: Topology) {
        name = topology.name
        plan = topology.plan
    }

    /// The edges between stages.
    var edges: [Edge] {
        plan.edges.map { edge in
            var label = edge.isKeyed ? "keyed" : ""
            if edge.output > 0 { label += label.isEmpty ? "side" : " side" }
            return Edge(
                from: edge.from, to: edge.to, fromNode: edge.node,
                toNode: plan.stages[edge.to].head, label: label)
        }
            + plan.loops.map { loop in
                Edge(
                    from: plan.stageOfNode[loop.tail], to: plan.stageOfNode[loop.head],
                    fromNode: loop.tail, toNode: loop.head, label: "feedback")
            }
    }

    /// The edges inside a stage: from an operator to those fused behind it.
    func fusedEdges(of stage: Int) -> [(from: Int, to: Int)] {
        plan.stages[stage].nodes.flatMap { node in
            plan.consumers[node].joined().compactMap { consumer in
                plan.stageOfNode[consumer.node] == stage && !plan.nodes[consumer.node].isBoundary
                    ? (node, consumer.node) : nil
            }
        }
    }

    /// A stage's name and how many actors it runs as.
    func title(of stage: Plan.Stage) -> String {
        guard stage.isKeyed else { return stage.name }
        return "\(stage.name) ×\(stage.parallelism.map(String.init) ?? "N")"
    }

    /// What an operator is.
    func label(of node: Int) -> String {
        let node = plan.nodes[node]
        switch node.role {
        case .source: return "source \(node.kind)"
        case .sink: return "sink \(node.kind)"
        case .attribute, .transform, .tap:
            guard let name = node.name, !node.isBoundary, name != node.kind else {
                return node.kind
            }
            return "\(node.kind) \(name)"
        }
    }

    /// Stages as lines, with their operators and where their events go.
    var text: String {
        var lines = ["topology \(name)"]
        for stage in plan.stages {
            let operators = stage.nodes.map { label(of: $0) }.joined(separator: " | ")
            lines.append("  \(title(of: stage)): \(operators)")
            for edge in edges where edge.from == stage.index {
                let label = edge.label.isEmpty ? "" : " (\(edge.label))"
                lines.append("    -> \(plan.stages[edge.to].name)\(label)")
            }
        }
        return lines.joined(separator: "\n")
    }
}
