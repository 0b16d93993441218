/// A Space-Saving sketch: the counters of the most frequent values, the least of them ready to be
/// replaced.
@frozen
public struct SpaceSaving<Value: Hashable & Codable & Sendable>: Sendable {
    @usableFromInline var capacityNow: Int
    /// A binary heap with the smallest count at the root.
    @usableFromInline var counters: [HeavyHitter<Value>] = []
    /// Where in the heap each value is.
    @usableFromInline var places: [Value: Int] = [:]

    /// Creates a sketch of nothing.
    ///
    /// - Parameter capacity: From 1 to 1,000,000; a number beyond is taken for the nearest of these.
    @inlinable
    public init(capacity: Int) {
        capacityNow = Swift.min(Swift.max(capacity, 1), 1_000_000)
    }

    /// How many values are watched at most.
    @inlinable
    public var capacity: Int { capacityNow }

    /// Counts a value; one that is not equal to itself (NaN) is ignored.
    ///
    /// - Complexity: O(log capacity).
    @inlinable
    public mutating func insert(_ value: Value) {
        guard value == value else { return }
        if let place = places[value] {
            counters[place].count &+= 1
            siftDown(from: place)
        } else if counters.count < capacity {
            append(HeavyHitter(value: value, count: 1, error: 0))
        } else {
            let least = counters[0]
            places[least.value] = nil
            counters[0] = HeavyHitter(value: value, count: least.count &+ 1, error: least.count)
            places[value] = 0
            siftDown(from: 0)
        }
    }

    /// Counts everything that `other` has counted; the capacity becomes the smaller of both.
    ///
    /// - Complexity: O(capacity · log capacity).
    @inlinable
    public mutating func merge(_ other: SpaceSaving) {
        // A value that a full sketch doesn't watch was seen in it at most as often as its least.
        let ownLeast = counters.count == capacity ? counters[0].count : 0
        let otherLeast = other.counters.count == other.capacity ? other.counters[0].count : 0
        var merged = counters.map { counter in
            var counter = counter
            let match = other.places[counter.value].map { other.counters[$0] }
            counter.count &+= match?.count ?? otherLeast
            counter.error &+= match?.error ?? otherLeast
            return counter
        }
        for counter in other.counters where places[counter.value] == nil {
            var counter = counter
            counter.count &+= ownLeast
            counter.error &+= ownLeast
            merged.append(counter)
        }
        merged.sort { $0.count != $1.count ? $0.count > $1.count : $0.error < $1.error }
        capacityNow = Swift.min(capacity, other.capacity)
        replaceCounters(merged.prefix(capacity))
    }

    /// The watched values, the most frequent first; of equally frequent ones the surer first.
    ///
    /// - Complexity: O(capacity · log capacity).
    @inlinable
    public var hitters: [HeavyHitter<Value>] {
        counters.sorted { $0.count != $1.count ? $0.count > $1.count : $0.error < $1.error }
    }

    @inlinable
    mutating func replaceCounters(_ values: some Sequence<HeavyHitter<Value>>) {
        counters = []
        places = [:]
        for counter in values { append(counter) }
    }

    @inlinable
    mutating func append(_ counter: HeavyHitter<Value>) {
        var place = counters.count
        counters.append(counter)
        places[counter.value] = place
        while place > 0 {
            let parent = (place &- 1) >> 1
            guard counters[place].count < counters[parent].count else { return }
            swap(place, parent)
            place = parent
        }
    }

    @inlinable
    mutating func siftDown(from start: Int) {
        var parent = start
        while true {
            var child = parent &* 2 &+ 1
            guard child < counters.count else { return }
            let right = child &+ 1
            if right < counters.count, counters[right].count < counters[child].count {
                child = right
            }
            guard counters[child].count < counters[parent].count else { return }
            swap(parent, child)
            parent = child
        }
    }

    @inlinable
    mutating func swap(_ left: Int, _ right: Int) {
        counters.swapAt(left, right)
        places[counters[left].value] = left
        places[counters[right].value] = right
    }
}

extension SpaceSaving: Codable {
    private enum CodingKeys: String, CodingKey { case capacity, counters }

    /// Reads a sketch.
    ///
    /// - Throws: `DecodingError` if its parts do not fit together.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        capacityNow = try container.decode(Int.self, forKey: .capacity)
        let decoded = try container.decode([HeavyHitter<Value>].self, forKey: .counters)
        guard (1...1_000_000).contains(capacityNow), decoded.count <= capacityNow,
            Set(decoded.map(\.value)).count == decoded.count
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .counters, in: container, debugDescription: "no Space-Saving sketch")
        }
        // In the order of the heap, which adding one by one keeps.
        replaceCounters(decoded)
    }

    /// Writes the counters in the order of the heap, so that what is read goes on in the same way.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(capacity, forKey: .capacity)
        try container.encode(counters, forKey: .counters)
    }
}
