import DequeModule
import Logging
import Synchronization
import WeirJournal

extension IngestJournal {
    /// Bytes that one commit makes durable at most; a larger record goes alone.
    static let commitBytes = 4 << 20

    /// On the thread: makes durable what waits, until nothing does or the disk fails.
    func work() {
        guard let journal = journal.withLock({ $0 }) else {
            state.withLock { $0.isScheduled = false }
            return
        }
        var trouble: StorageError?
        while trouble == nil {
            retain(journal)
            let group = takeGroup()
            if group.isEmpty {
                // Nothing is left: what comes from now on schedules the next call.
                if endWork(nil) { return }
                continue
            }
            trouble = commit(group, journal)
        }
        _ = endWork(trouble)
    }

    private func takeGroup() -> [IngestRecord] {
        state.withLock { state in
            var group: [IngestRecord] = []
            var size = 0
            while let record = state.waiting.first {
                size += record.bytes.count
                if !group.isEmpty, size > Self.commitBytes { break }
                group.append(record)
                state.waiting.removeFirst()
            }
            return group
        }
    }

    /// - Returns: What keeps the records from being durable; they wait again then.
    private func commit(_ group: [IngestRecord], _ journal: Journal) -> StorageError? {
        let started = ContinuousClock.now
        var stored: [Stored] = []
        stored.reserveCapacity(group.count)
        do throws(StorageError) {
            // The rest up to the journal's own bound is for the table of producers.
            // A segment alone may be above the bound because of one record, and goes only when
            // another has been begun behind it.
            guard journal.byteSize <= options.journalBytes || journal.segmentCount == 1 else {
                throw StorageError(.full, path: directory, action: "append to")
            }
            for record in group {
                let position = try record.bytes.withBytes { bytes throws(StorageError) in
                    try journal.append(bytes, kind: IngestRecord.Kind.messages)
                }
                stored.append(Stored(position: position, bytes: record.bytes))
            }
            try journal.commit()
        } catch {
            journal.discardPending()
            state.withLock { $0.waiting.prepend(contentsOf: group) }
            return error
        }
        let bytes = stored.reduce(0) { $0 + $1.bytes.count }
        metrics.commits.record((ContinuousClock.now - started).seconds)
        metrics.records.increment(by: stored.count)
        metrics.bytes.increment(by: bytes)
        committed(group, stored)
        return nil
    }

    private func committed(_ group: [IngestRecord], _ stored: [Stored]) {
        var safe: [String: UInt64] = [:]
        for (record, stored) in zip(group, stored) where !record.producer.isEmpty {
            if let key = RequestKey(producer: record.producer) {
                keys.settle(key, record.count, at: stored.position)
            } else {
                safe[record.producer] = record.lastSequence
            }
        }
        if !safe.isEmpty, let first = stored.first {
            // The first position of the group: a record of the table is needed no later than that.
            registry.acknowledge(
                safe.map { (name: $0.key, sequence: $0.value) }, at: first.position)
        }
        for record in group { record.onDurable?() }
        let (consumer, callback, pending) = state.withLock { state in
            state.committed.append(contentsOf: stored)
            let wasBlocked = state.blocked != nil
            state.blocked = nil
            let callback = wasBlocked && state.isOpen ? state.onFlow : nil
            return (state.consumer.take(), callback, state.pendingBytes)
        }
        metrics.pending.set(Double(pending))
        if let callback {
            metrics.blocked.set(0)
            logger.notice(
                "the ingest journal has room again: connections are read",
                metadata: ["stage": "\(stage)"])
            callback(true)
        }
        consumer?.resume()
    }

    /// Ends a turn of the thread; false when records have come meanwhile.
    private func endWork(_ trouble: StorageError?) -> Bool {
        let ended = state.withLock { state -> EndOfWork? in
            if trouble == nil, !state.waiting.isEmpty || state.retainFrom != nil { return nil }
            let wasBlocked = state.blocked != nil
            let wasOpen = state.isOpen
            state.blocked = trouble
            state.isScheduled = false
            defer { state.flushers.removeAll() }
            let changes = wasBlocked != (trouble != nil)
            return EndOfWork(
                changes: changes,
                onFlow: wasOpen != state.isOpen ? state.onFlow : nil, isOpen: state.isOpen,
                consumer: state.isFinishing ? state.consumer.take() : nil,
                watcher: trouble == nil ? nil : state.watcher.take(), flushers: state.flushers)
        }
        guard let ended else { return false }
        if ended.changes {
            metrics.blocked.set(trouble == nil ? 0 : 1)
            if let trouble {
                logger.error(
                    "the ingest journal can't be written: nothing is acknowledged, nothing read",
                    metadata: ["stage": "\(stage)", "error": "\(trouble)"])
            }
        }
        if let trouble, case .full = trouble.code { whenFull.withLock { $0 }?() }
        ended.onFlow?(ended.isOpen)
        ended.consumer?.resume()
        ended.watcher?.resume()
        for flusher in ended.flushers { flusher.resume() }
        return true
    }

    private struct EndOfWork: Sendable {
        let changes: Bool
        let onFlow: (@Sendable (Bool) -> Void)?
        let isOpen: Bool
        let consumer: UnsafeContinuation<Void, Never>?
        let watcher: UnsafeContinuation<Void, Never>?
        let flushers: [UnsafeContinuation<Void, Never>]
    }

    // MARK: Retention

    /// Removes segments that no checkpoint needs any more, once the rest tells of all producers.
    private func retain(_ journal: Journal) {
        guard let position = state.withLock({ $0.retainFrom.take() }) else { return }
        do throws(StorageError) {
            guard let first = try firstPosition(afterRemovingBefore: position) else { return }
            try registry.table.record(in: journal, before: first)
            try keys.table.record(in: journal, before: first)
            try journal.removeSegments(before: position)
        } catch {
            journal.discardPending()
            logger.warning(
                "old segments of the ingest journal can't be removed; the next checkpoint tries again",
                metadata: ["stage": "\(stage)", "error": "\(error)"])
        }
    }

    /// Where the journal would begin; nil when no segment can go.
    private func firstPosition(
        afterRemovingBefore position: UInt64
    ) throws(StorageError) -> UInt64? {
        let segments = try files.list(directory).compactMap { name -> UInt64? in
            guard name.hasSuffix(".wj") else { return nil }
            return UInt64(name.dropLast(3), radix: 16)
        }.sorted()
        guard let keep = segments.last(where: { $0 <= position }), keep != segments.first else {
            return nil
        }
        return keep
    }
}

extension Duration {
    fileprivate var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
