/// A stream of events inside a topology: what an operator returns and what the next one is called on.
///
/// A stream is a value that describes; nothing flows until the topology runs. A stream used twice is broadcast:
/// both uses get every event.
public struct EventStream<Element: Sendable>: Sendable {
    @usableFromInline let node: Node
    @usableFromInline let output: Int

    @usableFromInline
    init(node: Node, output: Int = 0) {
        self.node = node
        self.output = output
    }

    /// A stream that begins at a source.
    ///
    /// - Parameters:
    ///   - name: The name of the source's stage, unique in its topology.
    ///   - source: Where the events come from.
    @inlinable
    public init(
        _ name: String, from source: Source<Element>, file: StaticString = #fileID,
        line: UInt = #line
    ) {
        self.init(
            node: Node(
                source: source.definition, kind: source.label, name: name,
                location: SourceLocation(file, line)
            ) { _, outputs in
                [AnyReceiver(AnyReceiver.joined(outputs[0], as: Element.self))]
            })
    }

    /// The edge from this stream to a consumer, which becomes a hand-over if the consumer is a stage of its own.
    @inlinable
    package func edge(partition: Partitioner<Element>? = nil) -> Node.Input {
        var erased: (@Sendable (any AnyBatch, Int) -> [(any AnyBatch)?])?
        if let partition {
            erased = { batch, count in
                let parts = partition(
                    unsafeDowncast(batch, to: BatchBox<Element>.self).batch, count)
                return parts.map { part -> (any AnyBatch)? in
                    part.isEmpty ? nil : BatchBox(part)
                }
            }
        }
        return Node.Input(
            node: node, output: output, partition: erased,
            isCodable: Element.self is any Codable.Type,
            receiver: { scope, port in
                AnyReceiver(
                    Receiver<Element>(
                        batch: { (batch: consuming Batch<Element>) in
                            if !batch.isEmpty { port.emit(scope.box(batch)) }
                        },
                        signal: { signal in port.emit(signal) }))
            })
    }

    /// An operator with one input and one output.
    ///
    /// - Parameters:
    ///   - boundary: Whether it begins a stage of its own; if not it is fused into this stream's stage.
    ///   - build: Makes the operator's receiver on the stage's actor, given the one behind it.
    @inlinable
    package func transform<Output: Sendable>(
        _ kind: String, name: String? = nil, boundary: Bool = false,
        traits: NodeTraits = NodeTraits(), at location: SourceLocation,
        _ build: @escaping @Sendable (StageScope, Receiver<Output>) -> Receiver<Element>
    ) -> EventStream<Output> {
        EventStream<Output>(
            node: Node(
                kind: kind, name: name, inputs: [edge()], isBoundary: boundary, traits: traits,
                location: location
            ) { scope, outputs in
                [AnyReceiver(build(scope, AnyReceiver.joined(outputs[0], as: Output.self)))]
            })
    }

    /// An operator without state: one function from batch to batch.
    ///
    /// - Parameter kernel: Holds the loop over the events. It stands directly in the `@inlinable` method that takes the
    ///   user's closure: the compiler then builds that closure into the loop, where the user wrote it.
    @usableFromInline
    package func mapBatches<Output: Sendable>(
        _ kind: String, isFallible: Bool, at location: SourceLocation,
        _ kernel: @escaping @Sendable (consuming Batch<Element>) throws -> Batch<Output>
    ) -> EventStream<Output> {
        transform(kind, at: location) { scope, downstream in
            if isFallible { scope.markFallible() }
            return Receiver(
                batch: { (batch: consuming Batch<Element>) in
                    let output = try kernel(batch)
                    if !output.isEmpty { try downstream.batch(consume output) }
                }, signal: downstream.signal)
        }
    }

    @usableFromInline
    func attribute(
        _ kind: String, _ attribute: StageAttribute, at location: SourceLocation
    ) -> EventStream<Element> {
        EventStream(
            node: Node(
                kind: kind, inputs: [edge()], role: .attribute(attribute), isBoundary: false,
                location: location
            ) { _, outputs in
                [AnyReceiver(AnyReceiver.joined(outputs[0], as: Element.self))]
            })
    }

    /// Begins a stage of its own here: an actor with a mailbox, so that what comes before and after run in parallel.
    @inlinable
    public func stage(
        _ name: String, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        transform("stage", name: name, boundary: true, at: SourceLocation(file, line)) {
            _, downstream in downstream
        }
    }

    /// Sets the bounds of the mailbox of the stage that produces this stream.
    ///
    /// Default: 8,192 events, senders wait.
    public func mailbox(
        _ policy: MailboxPolicy, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        attribute("mailbox", .mailbox(policy), at: SourceLocation(file, line))
    }

    /// Places the stage that produces this stream under a supervisor.
    public func supervised(
        _ supervisor: Supervisor, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        attribute("supervised", .supervisor(supervisor), at: SourceLocation(file, line))
    }

    /// Ends the stream at a sink, which is a stage of its own.
    ///
    /// Its supervisor and mailbox are set on what this returns: ``Pipeline/supervised(_:file:line:)``,
    /// ``Pipeline/mailbox(_:file:line:)``.
    @inlinable
    public func sink(
        _ sink: Sink<Element>, file: StaticString = #fileID, line: UInt = #line
    ) -> Pipeline {
        Pipeline(
            node: Node(
                sink: sink.definition, kind: sink.label, name: sink.name, input: edge(),
                location: SourceLocation(file, line)
            ) { scope, _ in [sink.makeReceiver(scope)] })
    }
}

/// Something that runs beside the streams of a topology, such as a page that a server shows.
public protocol TopologyComponent: Sendable {
    /// What to call it in drawings and errors.
    var label: String { get }

    /// Takes note of what others need when they are set up; before anything of the run is.
    func prepare(_ context: SourceContext) async throws

    /// Sets it up before the sources start. It may use ``SourceContext/resources``; what it sets up ends with the run.
    func start(_ context: SourceContext) async throws
}

extension TopologyComponent {
    /// Does nothing.
    public func prepare(_ context: SourceContext) async throws {}
}
