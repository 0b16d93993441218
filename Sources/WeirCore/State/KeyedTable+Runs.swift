extension KeyedTable {
    /// Changes the value of each key of a batch, in their order.
    ///
    /// Equal keys that follow each other cost one look-up, except where entries expire.
    ///
    /// - Parameters:
    ///   - times: The time of the time-to-live at each key; none for one time for all.
    ///   - clock: The one time for all.
    ///   - body: Changes the value of the key at a position; returns whether the entry stays.
    /// - Throws: What `body` throws, or ``StateError`` `tooManyKeys`.
    /// - Complexity: O(keys), amortised over the growth of key groups.
    @inlinable
    @inline(__always)
    package func updateEach(
        _ keys: ContiguousArray<Key>, times: ContiguousArray<EventTime>, clock: EventTime,
        default makeValue: @autoclosure () -> Value,
        _ body: (_ index: Int, _ value: inout Value) throws -> Bool
    ) throws {
        let hashes = hashesAhead(of: keys)
        let takesRuns = timeToLive == 0
        // Without a check of bounds and of who holds the array at each key.
        try keys.withUnsafeBufferPointer { keys in
            let end = keys.count
            var index = 0
            while index < end {
                let key = keys[index]
                let hash = hash(of: key, at: index, in: hashes)
                var isKept = true
                try update(
                    key, hash: hash, now: times.isEmpty ? clock : times[index],
                    default: makeValue()
                ) { value in
                    while true {
                        isKept = try body(index, &value)
                        index &+= 1
                        guard isKept, takesRuns, index < end,
                            hashes.isEmpty || hashes[index] == hash, keys[index] == key
                        else { return }
                        if !hashes.isEmpty { _ = self.hash(of: key, at: index, in: hashes) }
                    }
                }
                if !isKept { remove(key, hash: hash) }
            }
        }
    }
}
