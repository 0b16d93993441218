extension Drawing {
    /// A flowchart with a subgraph for each stage.
    var mermaid: String {
        var lines = ["flowchart LR"]
        for stage in plan.stages {
            lines.append("  subgraph s\(stage.index)[\"\(Self.mermaidEscaped(title(of: stage)))\"]")
            for node in stage.nodes {
                lines.append("    n\(node)[\"\(Self.mermaidEscaped(label(of: node)))\"]")
            }
            for edge in fusedEdges(of: stage.index) {
                lines.append("    n\(edge.from) --- n\(edge.to)")
            }
            lines.append("  end")
        }
        for edge in edges {
            let label = edge.label.isEmpty ? "" : "|\(edge.label)|"
            lines.append("  n\(edge.fromNode) -->\(label) n\(edge.toNode)")
        }
        return lines.joined(separator: "\n")
    }

    /// A digraph with a cluster for each stage.
    var dot: String {
        var lines = [
            "digraph \"\(Self.dotEscaped(name))\" {", "  rankdir=LR;", "  node [shape=box];",
        ]
        for stage in plan.stages {
            lines.append("  subgraph cluster_\(stage.index) {")
            lines.append("    label=\"\(Self.dotEscaped(title(of: stage)))\";")
            for node in stage.nodes {
                lines.append("    n\(node) [label=\"\(Self.dotEscaped(label(of: node)))\"];")
            }
            for edge in fusedEdges(of: stage.index) {
                lines.append("    n\(edge.from) -> n\(edge.to) [style=dashed];")
            }
            lines.append("  }")
        }
        for edge in edges {
            let label = edge.label.isEmpty ? "" : " [label=\"\(edge.label)\"]"
            lines.append("  n\(edge.fromNode) -> n\(edge.toNode)\(label);")
        }
        lines.append("}")
        return lines.joined(separator: "\n")
    }

    /// Mermaid takes `#code;` for a character inside quotes.
    static func mermaidEscaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "#", "&", "<", ">", "`", ";": result += "#\(scalar.value);"
            case "\n", "\r": result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Inside DOT's quotes only the quote and the backslash need care; line ends become `\n`.
    static func dotEscaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n", "\r": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
