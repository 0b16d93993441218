public import DequeModule

/// A set of keys with the times at which they were first seen, of at most a fixed size: the oldest is forgotten first.
@usableFromInline
package struct BoundedMemory<Key: Hashable & Sendable>: Sendable {
    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline var time: EventTime
        @usableFromInline var ticket: UInt64

        @inlinable
        init(time: EventTime, ticket: UInt64) {
            self.time = time
            self.ticket = ticket
        }
    }

    @usableFromInline
    enum Change: Sendable {
        case stored(Key, before: Entry?)
        case forgotten(Key, Entry, ticket: UInt64)
        case skipped(Key, ticket: UInt64)
    }

    @usableFromInline var limit: Int
    @usableFromInline var lifetime: Int64?
    @usableFromInline var entries: [Key: Entry] = [:]
    /// In the order of the tickets; a key that was stored again has an outdated place too.
    @usableFromInline var order = Deque<(key: Key, ticket: UInt64)>()
    @usableFromInline var nextTicket: UInt64 = 0
    @usableFromInline var changes: [Change] = []
    @usableFromInline var isTracking = false

    /// - Parameters:
    ///   - limit: How many keys are remembered.
    ///   - lifetime: For how long, either way from the time at which a key was first seen; nil for ever.
    @usableFromInline
    package init(limit: Int, lifetime: Duration?) {
        self.limit = min(max(1, limit), .max / 4)
        self.lifetime = lifetime?.nanosecondsClamped
    }

    @inlinable package var count: Int { entries.count }

    /// Remembers a key; false when it is known and its time not over.
    ///
    /// A key that is not equal to itself (NaN) is never known, and not remembered.
    ///
    /// - Complexity: O(1), amortised.
    @inlinable
    package mutating func insert(_ key: Key, at time: EventTime) -> Bool {
        guard key == key else { return true }
        let known = entries[key]
        if let known, isCurrent(known, at: time) { return false }
        let ticket = nextTicket
        nextTicket += 1
        entries[key] = Entry(time: time, ticket: ticket)
        order.append((key, ticket))
        if isTracking { changes.append(.stored(key, before: known)) }
        while entries.count > limit || order.count > 2 * limit + 16 { forgetOldest() }
        return true
    }

    @inlinable
    func isCurrent(_ entry: Entry, at time: EventTime) -> Bool {
        guard let lifetime else { return true }
        let (age, overflow) = time.nanoseconds.subtractingReportingOverflow(
            entry.time.nanoseconds)
        return !overflow && age.magnitude < lifetime.magnitude
    }

    @inlinable
    mutating func forgetOldest() {
        guard let oldest = order.popFirst() else { return }
        if let entry = entries[oldest.key], entry.ticket == oldest.ticket {
            entries[oldest.key] = nil
            if isTracking { changes.append(.forgotten(oldest.key, entry, ticket: oldest.ticket)) }
        } else if isTracking {
            changes.append(.skipped(oldest.key, ticket: oldest.ticket))
        }
    }

    // MARK: Batches

    @inlinable
    package mutating func begin() {
        isTracking = true
        changes.removeAll(keepingCapacity: true)
    }

    @inlinable
    package mutating func commit() {
        isTracking = false
        changes.removeAll(keepingCapacity: true)
    }

    @inlinable
    package mutating func rollback() {
        for change in changes.reversed() {
            switch change {
            case .stored(let key, let before):
                entries[key] = before
                order.removeLast()
            case .forgotten(let key, let entry, let ticket):
                entries[key] = entry
                order.insert((key, ticket), at: 0)
            case .skipped(let key, let ticket): order.insert((key, ticket), at: 0)
            }
        }
        commit()
    }
}

extension BoundedMemory {
    /// Takes over what another memory knows, within this one's limits.
    package mutating func adopt(_ other: BoundedMemory) {
        let (limit, lifetime) = (limit, lifetime)
        self = other
        self.limit = limit
        self.lifetime = lifetime
        while entries.count > limit || order.count > 2 * limit + 16 { forgetOldest() }
    }
}

extension BoundedMemory: Codable where Key: Codable {
    private enum CodingKeys: String, CodingKey { case keys, times, isCurrent }

    /// Reads a memory without limits, for ``adopt(_:)``.
    @usableFromInline
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let keys = try container.decode([Key].self, forKey: .keys)
        let times = try container.decode([Int64].self, forKey: .times)
        let isCurrent = try container.decode([Bool].self, forKey: .isCurrent)
        guard keys.count == times.count, keys.count == isCurrent.count else {
            throw DecodingError.dataCorruptedError(
                forKey: .keys, in: container, debugDescription: "no memory of keys")
        }
        self.init(limit: .max, lifetime: nil)
        for index in keys.indices {
            order.append((keys[index], nextTicket))
            if isCurrent[index] {
                entries[keys[index]] = Entry(
                    time: EventTime(nanoseconds: times[index]), ticket: nextTicket)
            }
            nextTicket += 1
        }
    }

    /// Writes the keys in their order, outdated places included, so that what is forgotten next
    /// stays the same.
    @usableFromInline
    package func encode(to encoder: any Encoder) throws {
        var keys: [Key] = []
        var times: [Int64] = []
        var isCurrent: [Bool] = []
        for (key, ticket) in order {
            let entry = entries[key]
            keys.append(key)
            times.append(entry?.time.nanoseconds ?? 0)
            isCurrent.append(entry?.ticket == ticket)
        }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(keys, forKey: .keys)
        try container.encode(times, forKey: .times)
        try container.encode(isCurrent, forKey: .isCurrent)
    }
}

/// A ``BoundedMemory`` that follows the fate of the batch.
@usableFromInline
package final class TransactionalMemory<Key: Hashable & Sendable>: TransactionParticipant {
    @usableFromInline package var memory: BoundedMemory<Key>

    @inlinable
    package init(_ memory: BoundedMemory<Key>) {
        self.memory = memory
    }

    /// Registers it, to be rolled back with the batch and kept in checkpoints.
    @usableFromInline
    package func register(in scope: StageScope) {
        scope.registerTransient(self)
        scope.keep(value: { [self] in memory }, holding: Key.self) { [self] in memory.adopt($0) }
    }

    @inlinable package func beginBatch() { memory.begin() }
    @inlinable package func commitBatch() { memory.commit() }
    @inlinable package func rollbackBatch() { memory.rollback() }
}
