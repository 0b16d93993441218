import Synchronization

extension Source {
    /// The events of an AsyncSequence, in order.
    ///
    /// It is iterated anew when the source restarts after the sequence threw; a sequence that can't be iterated twice
    /// then goes on where it was, or ends. Its events can't be read again after a crash of the process.
    @inlinable
    public static func sequence<Events: AsyncSequence & Sendable>(
        _ events: Events
    ) -> Source where Events.Element == Element {
        Source("sequence") { inlet in
            for try await event in events { try await inlet.send(event) }
        }
    }

    /// The elements of a collection, in order, then the end.
    ///
    /// When the source restarts it goes on behind the last element it has sent.
    @inlinable
    public static func collection<Elements: Collection & Sendable>(
        _ elements: Elements
    ) -> Source where Elements.Element == Element {
        Source("collection") { inlet in
            let size = inlet.context.preferredBatchSize
            let progress = inlet.context.progress(of: "collection")
            var start = elements.index(elements.startIndex, offsetBy: progress.count)
            while start != elements.endIndex {
                try Task.checkCancellation()
                let end =
                    elements.index(start, offsetBy: size, limitedBy: elements.endIndex)
                    ?? elements.endIndex
                var batch = Batch<Element>()
                batch.elements.reserveCapacity(size)
                batch.elements.append(contentsOf: elements[start..<end])
                // What a cancelled inlet has taken leaves later.
                progress.advance(by: batch.count)
                try await inlet.send(batch)
                start = end
            }
        }
    }
}

/// How much a source has sent in a run, kept over its restarts.
@usableFromInline
final class SourceProgress: Sendable {
    private let sent = Atomic<Int>(0)

    @usableFromInline var count: Int { sent.load(ordering: .relaxed) }

    @usableFromInline
    func advance(by count: Int) {
        sent.add(count, ordering: .relaxed)
    }
}

extension SourceContext {
    /// The progress of this stage's source.
    @usableFromInline
    func progress(of kind: String) -> SourceProgress {
        resources.shared("\(stage) \(kind)") {
            SourceProgress()
        } close: { _ in
        }
    }
}
