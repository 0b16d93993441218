/// A finished branch of a topology: a stream that ends in a sink.
public struct Pipeline: Sendable {
    package enum Part: Sendable {
        case node(Node)
        case component(any TopologyComponent)
    }

    package let part: Part

    @usableFromInline
    init(node: Node) {
        part = .node(node)
    }

    init(component: any TopologyComponent) {
        part = .component(component)
    }

    /// Sets the bounds of the sink's mailbox.
    ///
    /// Default: 8,192 events, senders wait.
    public func mailbox(
        _ policy: MailboxPolicy, file: StaticString = #fileID, line: UInt = #line
    ) -> Pipeline {
        attribute("mailbox", .attribute(.mailbox(policy)), at: SourceLocation(file, line))
    }

    /// Places the sink under a supervisor: how often a write is tried again, how long it waits in
    /// between, and what becomes of events that can't be written.
    ///
    /// A batch whose write has failed `attempts` times is written event by event; an event that
    /// fails `attempts` times alone goes to the dead letters, or is escalated. A sink that can't be
    /// opened again is retried as long as the intensity allows, whatever `attempts` says.
    public func supervised(
        _ supervisor: Supervisor, file: StaticString = #fileID, line: UInt = #line
    ) -> Pipeline {
        attribute(
            "supervised", .attribute(.supervisor(supervisor)), at: SourceLocation(file, line))
    }

    /// Decides what happens when the sink's writer throws an error of this type.
    ///
    /// `.skip` and `.deadLetter` are for the event that can't be written: the others of its batch
    /// are, each alone. Without a policy the write is retried.
    public func recover<Failure: Error>(
        from type: Failure.Type, file: StaticString = #fileID, line: UInt = #line,
        _ decide: @escaping @Sendable (Failure) -> Decision<Never>
    ) -> Pipeline {
        attribute("recover", .transform, at: SourceLocation(file, line)) { scope in
            scope.register(
                Recovery { error in
                    guard let failure = error as? Failure else { return nil }
                    switch decide(failure) {
                    case .restart: return .restart
                    case .skip: return .skip
                    case .deadLetter: return .deadLetter
                    case .escalate: return .escalate
                    }
                })
        }
    }

    /// Adds a node to the sink's stage through which no event passes.
    private func attribute(
        _ kind: String, _ role: Node.Role, at location: SourceLocation,
        _ register: @escaping @Sendable (StageScope) -> Void = { _ in }
    ) -> Pipeline {
        guard case .node(let node) = part else { return self }
        let input = Node.Input(
            node: node, output: 0, partition: nil, receiver: { _, _ in Self.nothing })
        return Pipeline(
            node: Node(
                kind: kind, inputs: [input], role: role, isBoundary: false, location: location
            ) { scope, _ in
                register(scope)
                return [Self.nothing]
            })
    }

    private static var nothing: AnyReceiver {
        AnyReceiver(Receiver<Never>(batch: { _ in }, signal: { _ in }))
    }
}
