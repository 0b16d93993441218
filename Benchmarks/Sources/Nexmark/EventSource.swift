package import Weir

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

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

    /// Events of a collection; kills its process behind a number of them.
    ///
    /// Half way it waits for what `isReady` says, such as whether there is a checkpoint to go on from; ten seconds at
    /// most.
    package static func collection(
        _ events: ContiguousArray<NexmarkEvent>, killedBehind end: Int,
        when isReady: @escaping @Sendable () -> Bool
    ) -> Source {
        Source("killed") { inlet in
            var sent = Int(inlet.position?.offset ?? 0)
            let half = end / 2
            while sent < min(end, events.count) {
                let next = min(sent + 1_000, sent < half ? half : end, events.count)
                var batch = Batch<NexmarkEvent>()
                batch.elements.append(contentsOf: events[sent..<next])
                try await inlet.send(batch, position: SourcePosition(offset: Int64(next)))
                for _ in 0..<500 where next == half && !isReady() {
                    try await inlet.context.sleep(for: .milliseconds(20))
                }
                sent = next
            }
            kill(getpid(), SIGKILL)
        }
    }
}
