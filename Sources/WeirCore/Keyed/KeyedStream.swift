/// A stream whose events belong to keys: the starting point of everything that keeps state per key.
///
/// Each operator on it is a stage of its own, which may run as several actors: a key always meets the same one, so the
/// order per key is kept and no two actors share a key's state.
public struct KeyedStream<Key: Hashable & Codable & Sendable, Element: Sendable>: Sendable {
    @usableFromInline let stream: EventStream<Element>
    /// The keys of a batch's events, in their order: one call per batch, specialised where the key's closure stands.
    @usableFromInline let keys: @Sendable (Batch<Element>) -> ContiguousArray<Key>
    @usableFromInline let partition: Partitioner<Element>
    @usableFromInline let parallelism: Int?

    @usableFromInline
    init(
        stream: EventStream<Element>,
        keys: @escaping @Sendable (Batch<Element>) -> ContiguousArray<Key>,
        partition: @escaping Partitioner<Element>, parallelism: Int?
    ) {
        self.stream = stream
        self.keys = keys
        self.partition = partition
        self.parallelism = parallelism
    }

    /// A stage with state per key: one input split by key, one main output and perhaps more.
    ///
    /// - Parameter build: Makes the stage's receiver on its actor from the receivers of its outputs' consumers.
    @usableFromInline
    package func stage(
        _ kind: String, name: String?, traits: NodeTraits, at location: SourceLocation,
        _ build: @escaping @Sendable (StageScope, [[AnyReceiver]]) -> Receiver<Element>
    ) -> Node {
        var traits = traits
        traits.isKeyed = true
        if let parallelism, !(1...KeyGroup.count).contains(parallelism) {
            traits.problem = "keyed(by:parallelism:) takes a parallelism of 1 to 128"
        }
        return Node(
            kind: kind, name: name, inputs: [stream.edge(partition: partition)], isBoundary: true,
            parallelism: parallelism, traits: traits, location: location
        ) { scope, outputs in [AnyReceiver(build(scope, outputs))] }
    }
}

extension EventStream {
    /// Groups the stream by key.
    ///
    /// - Parameters:
    ///   - parallelism: The number of actors over which the keys of each following stage are spread; the run's
    ///     configuration decides when nil (1 by default). The 128 key groups are spread over them.
    ///   - key: The key of an event; a key path such as `\.card` or a closure. It must be a pure function.
    @inlinable
    public func keyed<Key: Hashable & Codable & Sendable>(
        by key: @escaping @Sendable (Element) -> Key, parallelism: Int? = nil
    ) -> KeyedStream<Key, Element> {
        KeyedStream(
            stream: self, keys: { batch in batch.elements.mapped(key) },
            partition: { batch, instances in
                var parts = [Batch<Element>](repeating: Batch(), count: instances)
                for index in batch.elements.indices {
                    let group = KeyGroup.keyGroup(ofHash: stableHash(key(batch.elements[index])))
                    let part = KeyGroup.instance(ofGroup: group, parallelism: instances)
                    parts[part].elements.append(batch.elements[index])
                    if batch.hasTimes { parts[part].times.append(batch.times[index]) }
                }
                return parts
            }, parallelism: parallelism)
    }
}
