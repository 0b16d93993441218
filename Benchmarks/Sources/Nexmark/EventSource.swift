package import Weir

extension Source<NexmarkEvent> {
    /// The first events of a generator.
    package static func nexmark(events count: Int, seed: UInt64 = 42, rate: Int = 100_000) -> Source
    {
        Source("nexmark") { inlet in
            var generator = NexmarkGenerator(seed: seed, rate: rate)
            if let position = inlet.position { generator.seek(to: position) }
            let size = inlet.context.preferredBatchSize
            while generator.number < count {
                try Task.checkCancellation()
                var batch = Batch<NexmarkEvent>()
                let events = min(size, count - generator.number)
                batch.elements.reserveCapacity(events)
                for _ in 0..<events { batch.elements.append(generator.next()) }
                try await inlet.send(batch, position: generator.position)
            }
        }
    }
}
