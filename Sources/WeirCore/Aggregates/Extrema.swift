/// Which of two inputs an aggregate keeps.
public protocol ExtremumOrder: Sendable {
    /// Whether `candidate` takes the place of `current`; false for equal ones, so that the first
    /// stays.
    static func replaces<Value: Comparable>(_ current: Value, by candidate: Value) -> Bool
}

/// Keeps the smallest.
public enum Smallest: ExtremumOrder {
    /// Whether the candidate takes the place of the current value.
    @inlinable
    public static func replaces<Value: Comparable>(_ current: Value, by candidate: Value) -> Bool {
        candidate < current
    }
}

/// Keeps the largest.
public enum Largest: ExtremumOrder {
    /// Whether the candidate takes the place of the current value.
    @inlinable
    public static func replaces<Value: Comparable>(_ current: Value, by candidate: Value) -> Bool {
        current < candidate
    }
}

/// The smallest or largest value, nil without inputs; O(1) in time and memory.
///
/// Values that are not equal to themselves (NaN) are ignored. The first of equal values is kept.
@frozen
public struct ExtremumAggregate<Input, Value, Order>: Aggregate
where Value: Comparable & Sendable & Codable, Order: ExtremumOrder {
    @usableFromInline let value: @Sendable (Input) -> Value

    /// Creates the aggregate.
    @inlinable
    public init(of value: @escaping @Sendable (Input) -> Value) {
        self.value = value
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Value? { nil }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Value?) {
        take(value(input), into: &accumulator)
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Value?, into accumulator: inout Value?) {
        if let other { take(other, into: &accumulator) }
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Value?) -> Value? { accumulator }

    @inlinable
    func take(_ candidate: Value, into accumulator: inout Value?) {
        guard candidate == candidate else { return }
        if let current = accumulator, !Order.replaces(current, by: candidate) { return }
        accumulator = candidate
    }
}

/// The input whose key is the smallest or largest, nil without inputs; O(1) in time and memory.
///
/// Inputs whose key is not equal to itself (NaN) are ignored. The first of inputs with equal keys
/// is kept.
@frozen
public struct ExtremumByAggregate<Input, Key, Order>: Aggregate
where Input: Sendable & Codable, Key: Comparable, Order: ExtremumOrder {
    @usableFromInline let key: @Sendable (Input) -> Key

    /// Creates the aggregate.
    @inlinable
    public init(by key: @escaping @Sendable (Input) -> Key) {
        self.key = key
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Input? { nil }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Input?) {
        let candidate = key(input)
        guard candidate == candidate else { return }
        if let current = accumulator, !Order.replaces(key(current), by: candidate) { return }
        accumulator = input
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Input?, into accumulator: inout Input?) {
        if let other { add(other, to: &accumulator) }
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Input?) -> Input? { accumulator }
}

extension Aggregate {
    /// The smallest value, nil without inputs.
    @inlinable
    public static func min<Element, Value>(
        of value: @escaping @Sendable (Element) -> Value
    ) -> Self where Self == ExtremumAggregate<Element, Value, Smallest> {
        ExtremumAggregate(of: value)
    }

    /// The largest value, nil without inputs.
    @inlinable
    public static func max<Element, Value>(
        of value: @escaping @Sendable (Element) -> Value
    ) -> Self where Self == ExtremumAggregate<Element, Value, Largest> {
        ExtremumAggregate(of: value)
    }

    /// The input whose key is the smallest, nil without inputs.
    @inlinable
    public static func min<Element, Key>(
        by key: @escaping @Sendable (Element) -> Key
    ) -> Self where Self == ExtremumByAggregate<Element, Key, Smallest> {
        ExtremumByAggregate(by: key)
    }

    /// The input whose key is the largest, nil without inputs.
    @inlinable
    public static func max<Element, Key>(
        by key: @escaping @Sendable (Element) -> Key
    ) -> Self where Self == ExtremumByAggregate<Element, Key, Largest> {
        ExtremumByAggregate(by: key)
    }
}
