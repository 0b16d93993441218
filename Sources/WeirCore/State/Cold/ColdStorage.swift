/// Keeps the cold entries of all tables of a run; closed with the last reference to it, its tables
/// and their snapshots.
package protocol ColdEngine: AnyObject, Sendable {
    /// A place for the entries of one more table, empty.
    func makeStorage() throws -> any ColdStorage
}

/// The cold entries of one table, as bytes: a bucket for each id, and times at which ids are due.
///
/// It belongs to one actor. After an error it is not used again.
package protocol ColdStorage: AnyObject {
    /// The bucket of an id; nil if it has none.
    func read(_ id: UInt64) throws -> [UInt8]?
    /// Makes changes, all or none.
    func apply(_ changes: ColdChanges) throws
    /// The earliest times in a range, in order, at most `limit`.
    func due(_ times: ClosedRange<Int64>, limit: Int) throws -> [ColdDeadline]
    /// All buckets as they are now, at a cost that does not depend on how many they are.
    func freeze() throws -> any ColdSnapshot
}

/// The buckets of a table as they were, for reading on any thread.
package protocol ColdSnapshot: AnyObject, Sendable {
    /// Calls `body` with the buckets whose ids are in a range, in order.
    func forEach(
        _ ids: ClosedRange<UInt64>, _ body: (_ id: UInt64, _ bucket: [UInt8]) throws -> Void) throws
}

/// A time at which a bucket is to be looked at.
package struct ColdDeadline: Hashable, Sendable {
    package let time: Int64
    package let id: UInt64

    package init(time: Int64, id: UInt64) {
        self.time = time
        self.id = id
    }
}

/// Changes that are made together.
package struct ColdChanges: Sendable {
    /// New buckets by id; nil for one that is gone.
    package var buckets: [UInt64: [UInt8]?] = [:]
    /// Times that are added or removed, in order.
    package var deadlines: [(deadline: ColdDeadline, isAdded: Bool)] = []

    package init() {}

    package var isEmpty: Bool { buckets.isEmpty && deadlines.isEmpty }

    mutating func removeAll() {
        buckets.removeAll(keepingCapacity: true)
        deadlines.removeAll(keepingCapacity: true)
    }
}
