import Synchronization
import Weir

extension Source where Element: Sendable {
    /// The first `count` events of a ring, in batches of the run's size.
    ///
    /// A batch that is the whole ring shares its memory: then the first operator that changes events copies them.
    static func ring(_ ring: EventRing<Element>, count: Int) -> Source {
        Source("ring") { inlet in
            let size = inlet.context.preferredBatchSize
            for start in stride(from: 0, to: count, by: size) {
                let end = min(start + size, count)
                try await inlet.send(Batch(ring.elements(start..<end)))
            }
        }
    }
}

extension EventRing {
    /// A copy of events that lie one after the other.
    func elements(_ range: Range<Int>) -> ContiguousArray<Element> {
        let start = range.lowerBound & 1_023
        if start + range.count <= 1_024 {
            return ContiguousArray(elements[start..<(start + range.count)])
        }
        return ContiguousArray(range.map { self[$0] })
    }
}

/// The tally of a topology's sink, read when the run is over.
final class SinkTally: Sendable {
    private let tally = Mutex(Tally())

    /// Counts a batch under one lock.
    @inline(__always)
    func add(_ body: (inout Tally) -> Void) {
        tally.withLock { body(&$0) }
    }

    var total: Tally { tally.withLock { $0 } }
}
