/// Counts the inputs, exactly; O(1) in time and memory.
@frozen
public struct CountAggregate<Input>: InvertibleAggregate {
    /// Creates the aggregate.
    @inlinable
    public init() {}

    @inlinable
    public func initial() -> Int { 0 }

    @inlinable
    public func add(_ input: Input, to accumulator: inout Int) { accumulator &+= 1 }

    @inlinable
    public func combine(_ other: Int, into accumulator: inout Int) { accumulator &+= other }

    @inlinable
    public func subtract(_ other: Int, from accumulator: inout Int) { accumulator &-= other }

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
