/// The most frequent values with bounds of their counts; O(log capacity) per input and O(capacity)
/// in memory.
///
/// Every value that makes up more than 1/capacity of the inputs is found, and no count is too high
/// by more than inputs/capacity (A. Metwally, D. Agrawal, A. El Abbadi, "Efficient computation of
/// frequent and top-k elements in data streams", Space-Saving, 2005). Merged sketches keep both
/// bounds (P. Agarwal et al., "Mergeable summaries", 2012). With no more than `capacity` different
/// values all counts are exact.
@frozen
public struct HeavyHittersAggregate<Input, Value>: Aggregate
where Value: Hashable & Codable & Sendable {
    @usableFromInline let count: Int
    @usableFromInline let capacity: Int
    @usableFromInline let value: @Sendable (Input) -> Value

    /// Creates the aggregate.
    ///
    /// - Parameters:
    ///   - count: How many values the result has at most, 1 up to the capacity.
    ///   - capacity: How many values are watched, at most 1,000,000. Default ten times as many as the result has, at
    ///     least 100.
    ///   - value: What is counted.
    @inlinable
    public init(
        _ count: Int, capacity: Int? = nil, of value: @escaping @Sendable (Input) -> Value
    ) {
        let (tenfold, overflows) = count.multipliedReportingOverflow(by: 10)
        self.count = count
        self.capacity = capacity ?? Swift.max(100, overflows ? .max : tenfold)
        self.value = value
    }

    /// What is wrong with the count or the capacity.
    public var problem: String? {
        if !(1...1_000_000).contains(capacity) {
            return "heavy hitters watch 1 to 1000000 values, not \(capacity)"
        }
        if (1...capacity).contains(count) { return nil }
        return "of \(capacity) values watched, 1 to \(capacity) can be in the result, not \(count)"
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> SpaceSaving<Value> { SpaceSaving(capacity: capacity) }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout SpaceSaving<Value>) {
        accumulator.insert(value(input))
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: SpaceSaving<Value>, into accumulator: inout SpaceSaving<Value>) {
        accumulator.merge(other)
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: SpaceSaving<Value>) -> [HeavyHitter<Value>] {
        Array(accumulator.hitters.prefix(count))
    }
}

/// A frequent value.
@frozen
public struct HeavyHitter<Value: Hashable & Codable & Sendable>: Sendable, Hashable, Codable {
    /// The value.
    public var value: Value
    /// How often it was seen, at most.
    public var count: Int
    /// By how much ``count`` may be too high; it was seen `count - error` times at least.
    public var error: Int

    /// Creates a frequent value.
    @inlinable
    public init(value: Value, count: Int, error: Int) {
        self.value = value
        self.count = count
        self.error = error
    }
}

extension Aggregate {
    /// The most frequent values with bounds of their counts, the most frequent first.
    @inlinable
    public static func heavyHitters<Element, Value>(
        _ count: Int, capacity: Int? = nil, of value: @escaping @Sendable (Element) -> Value
    ) -> Self where Self == HeavyHittersAggregate<Element, Value> {
        HeavyHittersAggregate(count, capacity: capacity, of: value)
    }
}
