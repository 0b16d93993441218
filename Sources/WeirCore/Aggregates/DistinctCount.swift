/// Estimates how many different values there are; O(1) per input and at most 2^precision bytes in
/// memory.
///
/// The standard error is 1.04/√(2^precision), that is 0.8 % for 16 kB at the default precision of
/// 14. Up to 2^precision/16 different values the 64-bit hashes themselves are kept and the count is
/// exact. Splits and repeats don't change the result at all.
///
/// P. Flajolet et al., "HyperLogLog: the analysis of a near-optimal cardinality estimation
/// algorithm" (2007); the hashes come from ``stableHash(_:)``.
@frozen
public struct DistinctAggregate<Input, Value: Hashable & Codable>: Aggregate {
    @usableFromInline let precision: Int
    @usableFromInline let value: @Sendable (Input) -> Value

    /// Creates the aggregate.
    ///
    /// - Parameters:
    ///   - precision: The binary logarithm of the number of registers, 4 to 18. Default 14.
    ///   - value: What is counted.
    @inlinable
    public init(precision: Int = 14, of value: @escaping @Sendable (Input) -> Value) {
        self.precision = precision
        self.value = value
    }

    /// What is wrong with the precision.
    public var problem: String? {
        if (4...18).contains(precision) { return nil }
        return "the precision of a distinct count is 4 to 18, not \(precision)"
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> HyperLogLog { HyperLogLog(precision: precision) }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout HyperLogLog) {
        accumulator.insert(hash: stableHash(value(input)))
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: HyperLogLog, into accumulator: inout HyperLogLog) {
        accumulator.merge(other)
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: HyperLogLog) -> Int { accumulator.estimate }
}

/// Counts how many different values there are, exactly up to a limit; O(limit) in memory.
@frozen
public struct ExactDistinctAggregate<Input, Value>: Aggregate
where Value: Hashable & Codable & Sendable {
    @usableFromInline let limit: Int
    @usableFromInline let value: @Sendable (Input) -> Value

    /// What is known about the inputs so far.
    @frozen
    public struct Accumulator: Sendable, Hashable, Codable {
        @usableFromInline var values: Set<Value> = []
        @usableFromInline var isComplete = true

        @inlinable
        init() {}
    }

    /// Creates the aggregate.
    ///
    /// - Parameters:
    ///   - limit: How many values are told apart, at least 1. Default 10,000.
    ///   - value: What is counted.
    @inlinable
    public init(limit: Int = 10_000, of value: @escaping @Sendable (Input) -> Value) {
        self.limit = limit
        self.value = value
    }

    /// What is wrong with the limit.
    public var problem: String? {
        limit > 0 ? nil : "the limit of an exact distinct count is at least 1, not \(limit)"
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Accumulator { Accumulator() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Accumulator) {
        take(value(input), into: &accumulator)
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Accumulator, into accumulator: inout Accumulator) {
        for value in other.values { take(value, into: &accumulator) }
        if !other.isComplete { accumulator.isComplete = false }
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Accumulator) -> DistinctCount {
        DistinctCount(count: accumulator.values.count, isComplete: accumulator.isComplete)
    }

    @inlinable
    func take(_ value: Value, into accumulator: inout Accumulator) {
        if value != value, accumulator.values.contains(where: { isSameUnequal($0, value) }) {
            return
        }
        if accumulator.values.count < limit {
            accumulator.values.insert(value)
        } else if !accumulator.values.contains(value) {
            accumulator.isComplete = false
        }
    }
}

/// How many different values a bounded count has seen.
@frozen
public struct DistinctCount: Sendable, Hashable, Codable {
    /// How many different values there are, at most the limit.
    public var count: Int
    /// Whether these are all; false if there were more than the limit.
    public var isComplete: Bool

    /// Creates a count.
    @inlinable
    public init(count: Int, isComplete: Bool) {
        self.count = count
        self.isComplete = isComplete
    }
}

extension Aggregate {
    /// Estimates how many different values there are, with a standard error of 0.8 % at the default
    /// precision.
    @inlinable
    public static func distinct<Element, Value>(
        precision: Int = 14, of value: @escaping @Sendable (Element) -> Value
    ) -> Self where Self == DistinctAggregate<Element, Value> {
        DistinctAggregate(precision: precision, of: value)
    }

    /// Counts how many different values there are, exactly up to `limit`.
    @inlinable
    public static func exactDistinct<Element, Value>(
        limit: Int = 10_000, of value: @escaping @Sendable (Element) -> Value
    ) -> Self where Self == ExactDistinctAggregate<Element, Value> {
        ExactDistinctAggregate(limit: limit, of: value)
    }
}
