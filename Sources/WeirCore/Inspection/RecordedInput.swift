import Synchronization

/// Hands the messages of an ingest journal to the source that stands in for the one that took them
/// in.
package final class RecordedInput: Sendable {
    /// Some of the messages of a record.
    struct Portion: Sendable {
        let record: [UInt8]
        let messages: Range<Int>
        /// Behind these messages.
        let position: SourcePosition
    }

    private struct State: Sendable {
        var portions: [Portion] = []
        var waiter: UnsafeContinuation<Void, Never>?
        var isStopped = false
    }

    private let state = Mutex(State())
    /// Gets each event that was decoded, for a run that shows them.
    let note: (@Sendable (any Sendable) -> Void)?

    init(note: (@Sendable (any Sendable) -> Void)? = nil) {
        self.note = note
    }

    func give(_ portion: Portion) {
        let waiter = state.withLock { state in
            state.portions.append(portion)
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// The next messages; nil once the source is stopped and has handed on what it was given.
    func next() async -> Portion? {
        while true {
            let (portion, isOver) = state.withLock { state -> (Portion?, Bool) in
                if state.portions.isEmpty { return (nil, state.isStopped) }
                return (state.portions.removeFirst(), false)
            }
            if isOver || portion != nil { return portion }
            await withTaskCancellationHandler {
                await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                    let isReady = state.withLock { state in
                        if !state.portions.isEmpty || state.isStopped { return true }
                        state.waiter = continuation
                        return false
                    }
                    if isReady { continuation.resume() }
                }
            } onCancel: {
                let waiter = state.withLock { state in
                    state.isStopped = true
                    return state.waiter.take()
                }
                waiter?.resume()
            }
        }
    }
}

extension Source {
    /// The same source, of which a replay decodes what the ingest journal has.
    package func recorded(_ decode: @escaping IngestDelivery<Element>.Decode) -> Source {
        recorded(decodeFrom: { _ in decode })
    }

    /// The same source, of which a replay decodes what the ingest journal has by its connection.
    package func recorded(
        decodeFrom:
            @escaping @Sendable (_ connection: String) -> IngestDelivery<Element>.Decode
    ) -> Source {
        var definition = definition
        definition.connectRecorded = { mailbox, context, input in
            let core = InletCore<Element>(mailbox: mailbox, batchSize: context.preferredBatchSize)
            mailbox.attach(core)
            let inlet = Inlet(core: core, context: context)
            return RunnableSource(
                run: { try await inlet.replay(input, decodeFrom) },
                flush: { try await core.flush() })
        }
        return Source(label: label, endpoint: endpoint, definition: definition)
    }
}

extension Inlet {
    fileprivate func replay(
        _ input: RecordedInput,
        _ decodeFrom:
            @escaping @Sendable (_ connection: String) -> IngestDelivery<Element>.Decode
    ) async throws {
        while let portion = await input.next() {
            var batch = Batch<Element>()
            try portion.record.withUnsafeBytes { bytes in
                let contents = try IngestRecordContents(bytes)
                let decode = decodeFrom(contents.connection)
                try contents.forEachMessage { index, message in
                    guard portion.messages.contains(index) else { return }
                    do {
                        try decode(message, &batch)
                    } catch {
                        context.deadLetter(
                            [UInt8](message), reason: String(describing: error),
                            origin: contents.origin)
                    }
                }
            }
            if let note = input.note { for event in batch.elements { note(event) } }
            try await send(batch, position: portion.position)
        }
    }
}
