package import DequeModule

/// A queue that follows the fate of the batch, at a cost that depends on what a batch adds and takes and not on what
/// waits in it.
package final class TransactionalQueue<Item>: TransactionParticipant {
    private var items = Deque<Item>()
    /// How many the running transaction has taken at the front; they are gone when it commits.
    private var taken = 0
    /// How many it has added at the end.
    private var added = 0

    package init() {}

    package var count: Int { items.count - taken }

    package var isEmpty: Bool { items.count == taken }

    package var first: Item? { isEmpty ? nil : items[taken] }

    package var contents: Deque<Item>.SubSequence { items[taken...] }

    package func append(_ item: Item) {
        items.append(item)
        added += 1
    }

    package func append(contentsOf new: some Collection<Item>) {
        items.append(contentsOf: new)
        added += new.count
    }

    /// Takes `count` items out, as many as there are at most.
    package func removeFirst(_ count: Int = 1) {
        taken += min(count, self.count)
    }

    package func popFirst() -> Item? {
        guard let first else { return nil }
        taken += 1
        return first
    }

    package func removeAll() {
        taken = items.count
    }

    package func beginBatch() { commitBatch() }

    package func commitBatch() {
        if taken > 0 { items.removeFirst(taken) }
        taken = 0
        added = 0
    }

    package func rollbackBatch() {
        items.removeLast(added)
        taken = 0
        added = 0
    }
}
