import Synchronization
import WeirJournal

/// Hands what an ingest journal holds to its stage, in the journal's order.
///
/// A position is the number of a record and, as its identity, how many of the record's messages are
/// done.
package struct IngestDelivery<Element: Sendable>: Sendable {
    /// Appends the event of a message to a batch; throws what is wrong with the message.
    package typealias Decode =
        @Sendable (UnsafeRawBufferPointer, inout Batch<Element>) throws -> Void

    private let journal: IngestJournal
    private let inlet: Inlet<Element>
    private let decodeFrom: @Sendable (_ connection: String) -> Decode

    /// - Parameter decodeFrom: Makes what decodes the messages of a connection.
    package init(
        journal: IngestJournal, inlet: Inlet<Element>,
        decodeFrom: @escaping @Sendable (_ connection: String) -> Decode
    ) {
        self.journal = journal
        self.inlet = inlet
        self.decodeFrom = decodeFrom
    }

    /// Hands on what is durable and not yet part of the stage's state.
    ///
    /// To be called once before ``run()``.
    package func begin() async throws {
        try await journal.begin(from: inlet.position)
    }

    /// Hands on first what was there at ``begin()``, then what comes, until the journal's
    /// ``IngestJournal/finish()``.
    package func run() async throws {
        var start = inlet.position
        while true {
            let records = try await journal.nextReplayed()
            if records.isEmpty { break }
            try await handOn(records, from: start)
            start = nil
        }
        while true {
            let records = await journal.next()
            if records.isEmpty { return }
            try await handOn(records, from: start)
            journal.handedOn(byteCount: records.reduce(0) { $0 + $1.bytes.count })
        }
    }

    private func handOn(
        _ records: [IngestJournal.Stored], from start: SourcePosition?
    ) async throws {
        let limit = inlet.core.batchSize
        var batches: [(batch: Batch<Element>, position: SourcePosition?)] = []
        var open = Batch<Element>()
        /// Behind what has been decoded since the last batch.
        var position: SourcePosition?
        for record in records {
            let number = Int64(record.position)
            let done = start?.offset == number ? start?.identity ?? 0 : 0
            do {
                try record.bytes.withUnsafeBytes { bytes in
                    let contents = try IngestRecordContents(bytes)
                    let decode = decodeFrom(contents.connection)
                    try contents.forEachMessage { index, message in
                        if index < done { return }
                        decodeOne(message, contents, decode, &open)
                        position =
                            index + 1 == contents.count
                            ? SourcePosition(offset: number + 1)
                            : SourcePosition(offset: number, identity: UInt64(index + 1))
                        if open.count >= limit {
                            batches.append((open, position))
                            open = Batch()
                            position = nil
                        }
                    }
                }
            } catch {
                throw StoreError(
                    store: journal.directory,
                    reason: "record \(number) is none of an ingest journal's")
            }
            for (batch, position) in batches { try await inlet.send(batch, position: position) }
            batches.removeAll(keepingCapacity: true)
        }
        if !open.isEmpty {
            try await inlet.send(open, position: position)
        } else if let position {
            // None of it is an event; the journal may let go of it all the same.
            inlet.advance(to: position)
        }
    }

    private func decodeOne(
        _ message: UnsafeRawBufferPointer, _ contents: IngestRecordContents,
        _ decode: Decode, _ batch: inout Batch<Element>
    ) {
        do {
            try decode(message, &batch)
        } catch let refused as UndecodablePayload {
            inlet.context.deadLetter(
                refused.payload, reason: String(describing: refused.cause),
                origin: "\(contents.origin) \(refused.place)")
        } catch {
            inlet.context.deadLetter(
                [UInt8](message), reason: String(describing: error), origin: contents.origin)
        }
    }
}

/// What is wrong with a message of which the journal holds more than the payload.
package struct UndecodablePayload: Error, CustomStringConvertible {
    let payload: [UInt8]
    /// What the message tells of its origin, such as a topic.
    let place: String
    let cause: any Error

    package init(_ payload: [UInt8], place: String, cause: any Error) {
        self.payload = payload
        self.place = place
        self.cause = cause
    }

    package var description: String { String(describing: cause) }
}

extension SourceContext {
    /// The ingest journal of this source; nil for a run without a store.
    ///
    /// Opened at the first call, closed at the end of the run.
    package func ingestJournal(
        _ options: IngestLimits = IngestLimits()
    ) async throws -> IngestJournal? {
        guard let checkpoints = environment.checkpoints else { return nil }
        let stage = stage
        let journal = resources.shared("ingest journal of \(stage)") {
            let journal = IngestJournal(
                directory: checkpoints.directory.ingestDirectory(of: stage), stage: stage,
                files: checkpoints.directory.files, cipher: checkpoints.store.cipher,
                options: options, logger: logger, instruments: resources.instruments,
                isInline: environment.executor != nil)
            checkpoints.onComplete { [weak journal] oldest in
                if let position = oldest[stage] {
                    journal?.retain(from: UInt64(max(0, position.offset)))
                }
            }
            journal.whenFull.withLock { action in
                action = { [weak checkpoints] in checkpoints?.request() }
            }
            return journal
        } close: { journal in
            await journal.close()
        }
        try await journal.open(from: restoredPosition)
        return journal
    }
}

extension CheckpointDirectory {
    /// Where the ingest journal of a source is.
    package func ingestDirectory(of stage: String) -> String {
        "\(path)/ingest/\(StageActor.fileName(stage: stage, instance: 0).dropLast(7))"
    }
}
