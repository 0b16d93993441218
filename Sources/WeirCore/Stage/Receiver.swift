/// The inner side of an operator: takes batches and signals on the stage's actor, synchronously.
///
/// The closures are made in `@inlinable` generic functions, so the loop over a batch is specialised in the module of
/// the user's closure; what is dynamic is one call per batch.
@usableFromInline
package struct Receiver<Element> {
    @usableFromInline package let batch: (consuming Batch<Element>) throws -> Void
    @usableFromInline package let signal: (Signal) throws -> Void

    @inlinable
    package init(
        batch: @escaping (consuming Batch<Element>) throws -> Void,
        signal: @escaping (Signal) throws -> Void
    ) {
        self.batch = batch
        self.signal = signal
    }

    /// One receiver in front of several; a batch is shared, not copied.
    @inlinable
    package static func fanOut(_ receivers: [Receiver<Element>]) -> Receiver<Element> {
        if receivers.count == 1 { return receivers[0] }
        return Receiver(
            batch: { batch in for receiver in receivers { try receiver.batch(batch) } },
            signal: { signal in for receiver in receivers { try receiver.signal(signal) } })
    }
}

/// A receiver whose element type only its two neighbours know.
@usableFromInline
package struct AnyReceiver {
    @usableFromInline let receiver: Any
    /// Hands over a batch that its holder keeps.
    @usableFromInline package let deliver: (any AnyBatch) throws -> Void
    /// Hands over a batch for good: its box is empty after that.
    @usableFromInline package let consume: (any AnyBatch) throws -> Void
    @usableFromInline package let signal: (Signal) throws -> Void

    @inlinable
    package init<Element: Sendable>(_ receiver: Receiver<Element>) {
        self.receiver = receiver
        signal = receiver.signal
        deliver = { batch in
            try receiver.batch(unsafeDowncast(batch, to: BatchBox<Element>.self).batch)
        }
        consume = { batch in
            try receiver.batch(unsafeDowncast(batch, to: BatchBox<Element>.self).take())
        }
    }

    /// The receiver itself.
    ///
    /// The graph's builder methods have fixed the element type on both ends.
    @inlinable
    package func typed<Element>(as: Element.Type) -> Receiver<Element> {
        guard let receiver = receiver as? Receiver<Element> else {
            preconditionFailure("an edge connects \(type(of: receiver)) to \(Element.self)")
        }
        return receiver
    }

    /// Joins the receivers of all the consumers of one output.
    @inlinable
    package static func joined<Element: Sendable>(
        _ receivers: [AnyReceiver], as: Element.Type
    ) -> Receiver<Element> {
        if receivers.isEmpty { return Receiver(batch: { _ in }, signal: { _ in }) }
        return .fanOut(receivers.map { $0.typed(as: Element.self) })
    }
}
