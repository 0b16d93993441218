public import Synchronization

/// The way from a source into its stage.
///
/// Sendable: a source may use it from many tasks and threads.
public struct Inlet<Element: Sendable>: Sendable {
    @usableFromInline let core: InletCore<Element>

    /// The stage's name, logger and shared resources.
    public let context: SourceContext

    @usableFromInline
    init(core: InletCore<Element>, context: SourceContext) {
        self.core = core
        self.context = context
    }

    /// Sends one event, waiting for room.
    ///
    /// Events are gathered into batches only while the stage is busy with earlier ones; an idle stage gets each at once.
    /// Throws `CancellationError`, or an error when the stage has stopped or its overflow policy is `.fail`.
    @inlinable
    public func send(_ event: Element) async throws {
        if let batch = core.append(event) { try await core.send(batch) }
    }

    /// Sends one event with its event time, waiting for room.
    @inlinable
    public func send(_ event: Element, at time: EventTime) async throws {
        if let batch = core.append(event, at: time) { try await core.send(batch) }
    }

    /// Sends a batch, waiting for room.
    ///
    /// Batches of ``SourceContext/preferredBatchSize`` travel best. When it throws `CancellationError` the batch has been
    /// taken all the same: it leaves when the source has returned or runs again.
    @inlinable
    public func send(_ batch: Batch<Element>) async throws {
        if batch.count <= core.batchSize, try core.sendAtOnce(batch) { return }
        try await core.sendBehindHeld(batch)
    }

    /// Sends a batch without waiting.
    ///
    /// - Returns: False when the mailbox is full and the batch was not taken: stop reading, and go on when
    ///   ``whenSpace(_:)`` calls back. A batch larger than the mailbox is taken when the mailbox is empty.
    /// - Throws: When the stage has stopped, or its overflow policy is `.fail`.
    @inlinable
    public func trySend(_ batch: Batch<Element>) throws -> Bool {
        try core.trySend(batch)
    }

    /// Calls back once, on any thread, as soon as there is room; at once if there is room now.
    @inlinable
    public func whenSpace(_ callback: @escaping @Sendable () -> Void) {
        core.mailbox.whenSpace(callback)
    }
}

/// Gathers single events into batches for a mailbox.
@usableFromInline
final class InletCore<Element: Sendable>: BatchFiller {
    @usableFromInline let mailbox: Mailbox
    @usableFromInline let batchSize: Int
    @usableFromInline let open: Mutex<Batch<Element>>

    @inlinable
    init(mailbox: Mailbox, batchSize: Int) {
        self.mailbox = mailbox
        self.batchSize = min(batchSize, mailbox.capacity)
        open = Mutex(Batch())
    }

    /// Adds an event; returns the batch when it is full or the stage has nothing to do.
    @inlinable
    func append(_ event: Element, at time: EventTime = .min) -> Batch<Element>? {
        open.withLock { batch in
            if batch.isEmpty && !mailbox.wantsMore { batch.elements.reserveCapacity(batchSize) }
            batch.append(event, at: time)
            // The consumer sets its flag before it takes this lock, so an event is never left behind unseen.
            guard batch.count >= batchSize || mailbox.wantsMore else { return nil }
            let full = batch
            batch = Batch()
            return full
        }
    }

    @inlinable
    func takeOpenBatch() -> (any AnyBatch)? {
        takeOpen().map { BatchBox($0) }
    }

    @inlinable
    func takeOpen() -> Batch<Element>? {
        open.withLock { batch in
            if batch.isEmpty { return nil }
            let taken = batch
            batch = Batch()
            return taken
        }
    }

    @inlinable
    func flush() async throws {
        if let batch = takeOpen() { try await send(batch) }
    }

    /// Sends a batch behind what is held back; what is not sent because the source is to stop is
    /// held back in its turn.
    @usableFromInline
    func sendBehindHeld(_ batch: Batch<Element>) async throws {
        let parts = parts(of: batch)
        var next = 0
        do {
            try await flush()
            while next < parts.count {
                // Taken also when it throws.
                next += 1
                try await send(parts[next - 1])
            }
        } catch is CancellationError {
            open.withLock { open in
                for part in parts[next...] { open.append(contentsOf: part) }
            }
            throw CancellationError()
        }
    }

    @inlinable
    func send(_ batch: Batch<Element>) async throws {
        if batch.isEmpty { return }
        do {
            try await mailbox.send(Delivery(channel: 0, item: .batch(BatchBox(batch))))
        } catch {
            notSent(batch, error)
            throw error
        }
    }

    /// Like ``trySend(_:)`` for a sender that takes the batch as sent: what can't ever be taken is counted.
    @usableFromInline
    func sendAtOnce(_ batch: Batch<Element>) throws -> Bool {
        do {
            return try trySend(batch)
        } catch {
            notSent(batch, error)
            throw error
        }
    }

    @usableFromInline
    func notSent(_ batch: Batch<Element>, _ error: any Error) {
        switch error {
        case is MailboxClosed: mailbox.discarded.add(batch.count, ordering: .relaxed)
        case is MailboxOverflow: mailbox.dropped.add(batch.count, ordering: .relaxed)
        default:
            // The source has been asked to stop: what it has sent leaves when it has returned.
            putBack(batch)
        }
    }

    /// Offers a batch behind what is held back already.
    ///
    /// While the stage is busy, small batches are gathered.
    @usableFromInline
    func trySend(_ batch: Batch<Element>) throws -> Bool {
        if batch.isEmpty { return true }
        // The mailbox is not called under the lock, which its consumer takes to look for open batches.
        let held: Batch<Element>? = open.withLock { held in
            if held.count + batch.count < batchSize && !mailbox.wantsMore {
                held.append(contentsOf: batch)
                return nil
            }
            defer { held = Batch() }
            return held
        }
        guard let held else { return true }
        if held.isEmpty { return try offer(batch) }
        do {
            if try offer(held) { return try offer(batch) }
        } catch {
            putBack(held)
            throw error
        }
        putBack(held)
        return false
    }

    private func putBack(_ batch: Batch<Element>) {
        open.withLock { later in
            var all = batch
            all.append(contentsOf: later)
            later = all
        }
    }

    private func offer(_ batch: Batch<Element>) throws -> Bool {
        switch mailbox.trySend(Delivery(channel: 0, item: .batch(BatchBox(batch)))) {
        case .sent: return true
        case .full, .cancelled: return false
        case .closed: throw MailboxClosed()
        case .overflow: throw MailboxOverflow(stage: mailbox.owner, capacity: mailbox.capacity)
        }
    }

    @inlinable
    func parts(of batch: Batch<Element>) -> [Batch<Element>] {
        if batch.count <= batchSize { return [batch] }
        return stride(from: 0, to: batch.count, by: batchSize).map {
            batch.slice($0..<min($0 + batchSize, batch.count))
        }
    }
}
