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
    /// After a restart it goes on behind the last element that was handled.
    @inlinable
    public static func collection<Elements: Collection & Sendable>(
        _ elements: Elements
    ) -> Source where Elements.Element == Element {
        Source("collection") { inlet in
            let size = inlet.context.preferredBatchSize
            var offset = Int(inlet.position?.offset ?? 0)
            var start =
                elements.index(elements.startIndex, offsetBy: offset, limitedBy: elements.endIndex)
                ?? elements.endIndex
            while start != elements.endIndex {
                try Task.checkCancellation()
                let end =
                    elements.index(start, offsetBy: size, limitedBy: elements.endIndex)
                    ?? elements.endIndex
                var batch = Batch<Element>()
                batch.elements.reserveCapacity(size)
                batch.elements.append(contentsOf: elements[start..<end])
                offset += batch.count
                try await inlet.send(batch, position: SourcePosition(offset: Int64(offset)))
                start = end
            }
        }
    }
}
