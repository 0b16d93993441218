/// A component of which `validate()` can tell that it has no place in its topology.
package protocol CheckedComponent: TopologyComponent {
    /// What is wrong with it, with the fix; nil when nothing is.
    ///
    /// - Parameters:
    ///   - endpoints: What the sources and sinks of the topology have for themselves.
    ///   - components: All its components.
    func problem(endpoints: [String], components: [any TopologyComponent]) -> String?
}

extension Topology {
    func badComponents() -> [TopologyError.Problem] {
        let components = components
        let endpoints = plan.nodes.compactMap { $0.endpoint }
        return components.compactMap { component in
            guard let checked = component as? any CheckedComponent,
                let message = checked.problem(endpoints: endpoints, components: components)
            else { return nil }
            return .init(code: .invalidArgument, message: message)
        }
    }
}

extension Node {
    /// What only one source or sink of a topology may have.
    var endpoint: String? {
        switch role {
        case .source(let source): source.endpoint
        case .sink(let sink): sink.endpoint
        default: nil
        }
    }
}
