/// What stands in for the outside of a topology, so that nothing is read, opened or written.
package struct Substitutes: Sendable {
    /// Makes what feeds a source's stage in place of the source.
    package let source: @Sendable (SourceDefinition, Mailbox, SourceContext) -> RunnableSource
    /// Takes what a sink would have written.
    package let sink: @Sendable (_ stage: String, any AnyBatch) -> Void

    package init(
        source:
            @escaping @Sendable (SourceDefinition, Mailbox, SourceContext) -> RunnableSource,
        sink: @escaping @Sendable (_ stage: String, any AnyBatch) -> Void
    ) {
        self.source = source
        self.sink = sink
    }

    func writer(for stage: String) -> AnySinkWriter {
        let sink = sink
        return AnySinkWriter(write: { sink(stage, $0) }, flush: {}, close: {})
    }

    /// A source that sends nothing until it is stopped.
    static let silentSource = RunnableSource(
        run: {
            let ending = AsyncStream<Void>.makeStream()
            await withTaskCancellationHandler {
                for await _ in ending.stream {}
            } onCancel: {
                ending.continuation.finish()
            }
        }, flush: {})
}
