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
        if let parcel = core.append(event) { try await core.send(parcel) }
    }

    /// Sends one event with its event time, waiting for room.
    @inlinable
    public func send(_ event: Element, at time: EventTime) async throws {
        if let parcel = core.append(event, at: time) { try await core.send(parcel) }
    }

    /// Sends a batch, waiting for room.
    ///
    /// Batches of ``SourceContext/preferredBatchSize`` travel best. When it throws `CancellationError` the batch has been
    /// taken all the same: it leaves when the source has returned or runs again.
    ///
    /// - Parameter position: Where the source is behind these events, if it can be read again from
    ///   there; it comes back as ``position`` after a restart.
    @inlinable
    public func send(
        _ batch: consuming Batch<Element>, position: SourcePosition? = nil
    ) async throws {
        if let unsent = try core.sendAtOnce(Parcel(batch, position)) {
            try await core.sendBehindHeld(unsent)
        }
    }

    /// Sends a batch without waiting.
    ///
    /// - Parameters:
    ///   - batch: The events.
    ///   - position: Where the source is behind these events, if it can be read again from there.
    /// - Returns: False when the mailbox is full and the batch was not taken: stop reading, and go on when
    ///   ``whenSpace(_:)`` calls back. A batch larger than the mailbox is taken when the mailbox is empty.
    /// - Throws: When the stage has stopped, or its overflow policy is `.fail`.
    @inlinable
    public func trySend(_ batch: Batch<Element>, position: SourcePosition? = nil) throws -> Bool {
        try core.trySend(Parcel(batch, position)) == nil
    }

    /// The same for a thread that wakes the stages it has sent to together, and soon.
    @inlinable
    package func trySend(
        _ batch: Batch<Element>, position: SourcePosition? = nil, wakeUps: ConsumerWakeUps
    ) throws -> Bool {
        try core.trySend(Parcel(batch, position), wakeUps: wakeUps) == nil
    }

    /// Where to go on reading: behind what was sent last, or where the checkpoint says from which
    /// the run was restored; nil at the very beginning.
    public var position: SourcePosition? { core.lastPosition ?? context.restoredPosition }

    /// Says where the source is behind what gave no events: it is there once all that was sent before
    /// has been handled.
    package func advance(to position: SourcePosition) { core.advance(to: position) }

    /// Calls back once, on any thread, as soon as there is room; at once if there is room now.
    @inlinable
    public func whenSpace(_ callback: @escaping @Sendable () -> Void) {
        core.mailbox.whenSpace(callback)
    }
}

/// Events on their way into a stage, and where their source is behind them.
@usableFromInline
struct Parcel<Element: Sendable>: Sendable {
    @usableFromInline var batch: Batch<Element>
    @usableFromInline var position: SourcePosition?
    /// Whether the parcel behind it belongs to the same position of the source.
    @usableFromInline var isContinued = false

    @inlinable
    init(_ batch: consuming Batch<Element> = Batch(), _ position: SourcePosition? = nil) {
        self.batch = batch
        self.position = position
    }

    /// Whether it has neither events nor a position.
    @inlinable var isEmpty: Bool { batch.isEmpty && position == nil }

    @inlinable
    mutating func append(_ other: Parcel) {
        if other.isEmpty { return }
        batch.append(contentsOf: other.batch)
        if let position = other.position { self.position = position }
        isContinued = other.isContinued
    }

    /// The parcel ready to travel; nothing else holds its events then.
    @inlinable
    consuming func boxed() -> BatchBox<Element> {
        let box = BatchBox(batch, position: position)
        box.isContinued = isContinued
        return box
    }

    @inlinable
    init(_ box: BatchBox<Element>) {
        position = box.position
        isContinued = box.isContinued
        batch = box.take()
    }
}

/// Gathers single events into batches for a mailbox.
@usableFromInline
final class InletCore<Element: Sendable>: BatchFiller {
    @usableFromInline let mailbox: Mailbox
    @usableFromInline let batchSize: Int
    @usableFromInline let open: Mutex<Parcel<Element>>
    @usableFromInline let last = Mutex<SourcePosition?>(nil)

    @inlinable
    init(mailbox: Mailbox, batchSize: Int) {
        self.mailbox = mailbox
        self.batchSize = min(batchSize, mailbox.capacity)
        open = Mutex(Parcel())
    }

    @inlinable var lastPosition: SourcePosition? { last.withLock { $0 } }

    /// Adds an event; returns the batch when it is full or the stage has nothing to do.
    @inlinable
    func append(_ event: Element, at time: EventTime = .min) -> Parcel<Element>? {
        open.withLock { parcel in
            if parcel.batch.isEmpty && !mailbox.wantsMore {
                parcel.batch.elements.reserveCapacity(batchSize)
            }
            parcel.batch.append(event, at: time)
            // The consumer sets its flag before it takes this lock, so an event is never left behind unseen.
            guard parcel.batch.count >= batchSize || mailbox.wantsMore else { return nil }
            let full = parcel
            parcel = Parcel()
            return full
        }
    }

    @inlinable
    func takeOpenBatch() -> (any AnyBatch)? {
        takeOpen().map { $0.boxed() }
    }

    @inlinable
    func takeOpen() -> Parcel<Element>? {
        open.withLock { parcel in
            if parcel.isEmpty { return nil }
            let taken = parcel
            parcel = Parcel()
            return taken
        }
    }

    /// Takes what is held back before more is sent; a position alone goes with that.
    @inlinable
    func takeOpen(before parcel: inout Parcel<Element>) -> Parcel<Element>? {
        guard let held = takeOpen() else { return nil }
        if !held.batch.isEmpty { return held }
        if parcel.position == nil { parcel.position = held.position }
        return nil
    }

    /// Takes note of where the source is behind what gave no events.
    func advance(to position: SourcePosition) {
        open.withLock { open in
            open.position = position
            open.isContinued = false
        }
        note(position)
        if mailbox.wantsMore { mailbox.wake() }
    }

    @inlinable
    func flush() async throws {
        if let parcel = takeOpen() { try await send(parcel) }
    }

    /// Sends a batch behind what is held back; what is not sent because the source is to stop is
    /// held back in its turn.
    @inlinable
    func sendBehindHeld(_ parcel: Parcel<Element>) async throws {
        var parcel = parcel
        let held = takeOpen(before: &parcel)
        let parts = parts(of: parcel)
        var next = 0
        do {
            if let held { try await send(held) }
            while next < parts.count {
                // Taken also when it throws.
                next += 1
                try await send(parts[next - 1])
            }
        } catch is CancellationError {
            open.withLock { open in
                for part in parts[next...] { open.append(part) }
            }
            note(parcel.position)
            throw CancellationError()
        }
    }

    @inlinable
    func send(_ parcel: consuming Parcel<Element>) async throws {
        if parcel.isEmpty { return }
        note(parcel.position)
        let box = parcel.boxed()
        do {
            try await mailbox.send(Delivery(channel: 0, item: .batch(box)))
        } catch is CancellationError {
            // The source has been asked to stop: what it has sent leaves when it has returned.
            putBack(Parcel(box))
            throw CancellationError()
        } catch {
            mailbox.countUnsent(box.count, after: error)
            throw error
        }
    }

    /// Like ``trySend(_:)`` for a sender that takes the batch as sent: what can't ever be taken is counted.
    @inlinable
    func sendAtOnce(_ parcel: consuming Parcel<Element>) throws -> Parcel<Element>? {
        let count = parcel.batch.count
        if count > batchSize { return parcel }
        do {
            return try trySend(parcel)
        } catch {
            mailbox.countUnsent(count, after: error)
            throw error
        }
    }

    /// Offers a batch behind what is held back already; gives it back when there is no room.
    ///
    /// While the stage is busy, small batches are gathered.
    @inlinable
    func trySend(
        _ parcel: consuming Parcel<Element>, wakeUps: ConsumerWakeUps? = nil
    ) throws -> Parcel<Element>? {
        if parcel.batch.isEmpty { return nil }
        // The mailbox is not called under the lock, which its consumer takes to look for open batches.
        var parcel = parcel
        let (isTaken, held) = open.withLock { open -> (Bool, Parcel<Element>?) in
            if open.batch.count + parcel.batch.count < batchSize && !mailbox.wantsMore {
                open.append(parcel)
                return (true, nil)
            }
            defer { open = Parcel() }
            if !open.batch.isEmpty { return (false, open) }
            if parcel.position == nil { parcel.position = open.position }
            return (false, nil)
        }
        if isTaken {
            note(parcel.position)
            return nil
        }
        if let held {
            let box = held.boxed()
            do {
                if try !offer(box, wakeUps) {
                    putBack(Parcel(box))
                    return parcel
                }
            } catch {
                putBack(Parcel(box))
                throw error
            }
        }
        let box = parcel.boxed()
        parcel = Parcel()
        return try offer(box, wakeUps) ? nil : Parcel(box)
    }

    @inlinable
    func putBack(_ parcel: Parcel<Element>) {
        open.withLock { later in
            var all = parcel
            all.append(later)
            later = all
        }
    }

    @inlinable
    func offer(_ box: BatchBox<Element>, _ wakeUps: ConsumerWakeUps?) throws -> Bool {
        let position = box.position
        guard try mailbox.offer(box, wakeUps) else { return false }
        note(position)
        return true
    }

    @inlinable
    func note(_ position: SourcePosition?) {
        if let position { last.withLock { $0 = position } }
    }

    @inlinable
    func parts(of parcel: Parcel<Element>) -> [Parcel<Element>] {
        let batch = parcel.batch
        if batch.count <= batchSize { return [parcel] }
        return stride(from: 0, to: batch.count, by: batchSize).map {
            let end = min($0 + batchSize, batch.count)
            let isLast = end == batch.count
            var part = Parcel(batch.slice($0..<end), isLast ? parcel.position : nil)
            part.isContinued = !isLast && parcel.position != nil
            return part
        }
    }
}

extension Mailbox {
    /// Offers a source's batch without waiting; false when there is no room.
    @usableFromInline
    func offer(_ batch: any AnyBatch, _ wakeUps: ConsumerWakeUps?) throws -> Bool {
        try isSent(trySend(Delivery(channel: 0, item: .batch(batch)), wakeUps: wakeUps))
    }

    /// Counts events that can't ever be taken.
    @usableFromInline
    func countUnsent(_ count: Int, after error: any Error) {
        if error is MailboxClosed {
            discarded.add(count, ordering: .relaxed)
        } else {
            dropped.add(count, ordering: .relaxed)
        }
    }
}
