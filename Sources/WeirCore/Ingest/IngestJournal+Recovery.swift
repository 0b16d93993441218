import DequeModule
import Logging
import Synchronization
import WeirJournal

extension IngestJournal {
    /// Opens the journal and finds out how far each producer has come; does nothing when open.
    ///
    /// - Parameter start: Where the run goes on; nil for the journal's first record.
    /// - Throws: ``StoreError`` when the journal doesn't hold that position, `StorageError`.
    package func open(from start: SourcePosition?) async throws {
        if journal.withLock({ $0 != nil }) { return }
        try await thread.run { [self] in
            let first = UInt64(max(0, start?.offset ?? 0))
            var journalOptions = JournalOptions()
            journalOptions.segmentBytes = min(
                options.segmentBytes, max(4_096, options.journalBytes / 8))
            // Room for a segment that is begun at the bound, and for the tables.
            journalOptions.maximumBytes =
                min(options.journalBytes, .max / 4) + journalOptions.segmentBytes + 1 << 20
                + bytes(options.requestKeys, each: RequestKeyTable.encodedLength)
                + bytes(options.producers, each: ProducerTable.encodedLengthMax)
            journalOptions.firstPosition = first
            journalOptions.maximumRecordBytes = 1 << 30
            journalOptions.maximumPendingBytes = 2 << 30
            journalOptions.cipher = cipher
            let opened = try Journal.open(
                directory: directory, fileSystem: files, options: journalOptions)
            do {
                try check(opened, holds: start)
                try readProducers(opened)
            } catch {
                opened.close()
                throw error
            }
            journal.withLock { $0 = opened }
        }
    }

    private func bytes(_ count: Int, each size: Int) -> Int {
        min(max(0, count), .max / 8 / size) * size
    }

    private func check(_ journal: Journal, holds start: SourcePosition?) throws {
        guard let start else { return }
        let first = UInt64(max(0, start.offset))
        guard first < journal.firstPosition || first > journal.endPosition else { return }
        throw StoreError(
            store: directory,
            reason:
                "the checkpoint of '\(stage)' goes on with record \(first), but the ingest journal "
                + "holds records \(journal.firstPosition) to \(journal.endPosition): begin with a "
                + "newer checkpoint, or restore the directory")
    }

    private func readProducers(_ journal: Journal) throws {
        let reader = try journal.reader(from: journal.firstPosition)
        while let record = try reader.next() {
            do throws(IngestFormatError) {
                if try registry.table.restore(record) { continue }
                if try keys.table.restore(record) { continue }
                let contents = try IngestRecordContents(record.payload)
                if let key = RequestKey(producer: contents.producer) {
                    keys.table.change {
                        $0.restore(
                            key, contents.firstSequence, contents.count, time: contents.time,
                            recordedAt: record.position)
                    }
                    continue
                }
                if contents.producer.isEmpty || contents.count == 0 { continue }
                let last = contents.firstSequence &+ UInt64(contents.count) &- 1
                registry.table.change {
                    $0.restore(contents.producer, upTo: last, recordedAt: record.position)
                }
            } catch {
                throw StoreError(
                    store: directory,
                    reason: "record \(record.position) is none of an ingest journal's")
            }
        }
    }

    /// Begins to hand on from a position: first what is durable already, by ``nextReplayed()``, then
    /// what comes, by ``next()``.
    package func begin(from position: SourcePosition?) async throws {
        try await thread.run { [self] in
            guard let journal = journal.withLock({ $0 }) else { return }
            let first = position.map { UInt64(max(0, $0.offset)) } ?? journal.firstPosition
            try replay.withLock { $0 = try journal.reader(from: first) }
            replayEnd.store(journal.endPosition, ordering: .relaxed)
            state.withLock { state in
                // All of it is in the journal and comes from there, also what was not handed on.
                state.committed.removeAll()
                state.pendingBytes = state.waiting.reduce(0) { $0 + $1.bytes.count }
                state.isFinishing = false
                if state.isFull, state.pendingBytes <= options.pendingBytes / 2 {
                    state.isFull = false
                }
            }
        }
    }

    /// The next durable records from before ``begin(from:)``; empty behind the last.
    ///
    /// - Parameter byteCount: How much is read at once, one record more at most.
    package func nextReplayed(byteCount: Int = 256 << 10) async throws -> [Stored] {
        try await thread.run { [self] in
            let end = replayEnd.load(ordering: .relaxed)
            return try replay.withLock { reader in
                var records: [Stored] = []
                var size = 0
                while let current = reader, current.position < end, size < byteCount,
                    let record = try current.next()
                {
                    guard record.kind == IngestRecord.Kind.messages else { continue }
                    records.append(
                        Stored(position: record.position, bytes: [UInt8](record.payload)))
                    size += record.payload.count
                }
                if records.isEmpty { reader = nil }
                return records
            }
        }
    }

    /// Closes the journal; what is not durable is forgotten, and was never acknowledged.
    package func close() async {
        let (lost, waiting) = state.withLock { state in
            state.isClosed = true
            state.onFlow = nil
            let waiting =
                state.flushers + [state.consumer.take(), state.watcher.take()].compactMap { $0 }
            state.flushers.removeAll()
            defer { state.waiting.removeAll() }
            return (state.waiting.reduce(0) { $0 + $1.count }, waiting)
        }
        for continuation in waiting { continuation.resume() }
        if lost > 0 {
            logger.error(
                "messages were read that could not be made durable; they were not acknowledged",
                metadata: ["stage": "\(stage)", "messages": "\(lost)"])
        }
        try? await thread.run { [self] in
            replay.withLock { $0 = nil }
            journal.withLock { $0 }?.close()
            journal.withLock { $0 = nil }
        }
        thread.stop()
    }
}
