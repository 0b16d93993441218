/// Counts the inputs, exactly; O(1) in time and memory.
@frozen
public struct CountAggregate<Input>: InvertibleAggregate {
    /// Creates the aggregate.
    @inlinable
    public init() {}

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Int { 0 }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Int) { accumulator &+= 1 }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Int, into accumulator: inout Int) { accumulator &+= other }

    /// Takes inputs out again.
    @inlinable
    public func subtract(_ other: Int, from accumulator: inout Int) { accumulator &-= other }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Int) -> Int { accumulator }
}

extension Aggregate {
    /// Counts the inputs.
    @inlinable
    public static func count<Value>() -> Self where Self == CountAggregate<Value> {
        CountAggregate()
    }
}
