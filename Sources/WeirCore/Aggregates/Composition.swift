/// Two aggregates of the same inputs in one pass.
@frozen
public struct CombinedAggregate<First: Aggregate, Second: Aggregate>: Aggregate
where First.Input == Second.Input {
    @usableFromInline let first: First
    @usableFromInline let second: Second

    /// Both accumulators.
    @frozen
    public struct Accumulator: Sendable, Codable {
        @usableFromInline var first: First.Accumulator
        @usableFromInline var second: Second.Accumulator

        @inlinable
        init(first: First.Accumulator, second: Second.Accumulator) {
            self.first = first
            self.second = second
        }
    }

    /// Creates the aggregate.
    @inlinable
    public init(_ first: First, _ second: Second) {
        self.first = first
        self.second = second
    }

    /// What is wrong with the arguments of either.
    @inlinable public var problem: String? { first.problem ?? second.problem }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Accumulator {
        Accumulator(first: first.initial(), second: second.initial())
    }

    /// Adds one input.
    @inlinable
    public func add(_ input: First.Input, to accumulator: inout Accumulator) {
        first.add(input, to: &accumulator.first)
        second.add(input, to: &accumulator.second)
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Accumulator, into accumulator: inout Accumulator) {
        first.combine(other.first, into: &accumulator.first)
        second.combine(other.second, into: &accumulator.second)
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Accumulator) -> (First.Output, Second.Output) {
        (first.result(of: accumulator.first), second.result(of: accumulator.second))
    }
}

extension CombinedAggregate: InvertibleAggregate
where First: InvertibleAggregate, Second: InvertibleAggregate {
    /// Takes inputs out again.
    @inlinable
    public func subtract(_ other: Accumulator, from accumulator: inout Accumulator) {
        first.subtract(other.first, from: &accumulator.first)
        second.subtract(other.second, from: &accumulator.second)
    }
}

/// An aggregate of what a closure makes of each input.
@frozen
public struct MapInputAggregate<Inner: Aggregate, Input>: Aggregate {
    @usableFromInline let inner: Inner
    @usableFromInline let transform: @Sendable (Input) -> Inner.Input

    /// Creates the aggregate.
    @inlinable
    public init(_ inner: Inner, _ transform: @escaping @Sendable (Input) -> Inner.Input) {
        self.inner = inner
        self.transform = transform
    }

    /// What is wrong with the arguments of the inner aggregate.
    @inlinable public var problem: String? { inner.problem }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Inner.Accumulator { inner.initial() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Inner.Accumulator) {
        inner.add(transform(input), to: &accumulator)
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Inner.Accumulator, into accumulator: inout Inner.Accumulator) {
        inner.combine(other, into: &accumulator)
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Inner.Accumulator) -> Inner.Output {
        inner.result(of: accumulator)
    }
}

extension MapInputAggregate: InvertibleAggregate where Inner: InvertibleAggregate {
    /// Takes inputs out again.
    @inlinable
    public func subtract(_ other: Inner.Accumulator, from accumulator: inout Inner.Accumulator) {
        inner.subtract(other, from: &accumulator)
    }
}

/// An aggregate whose result a closure turns into another.
@frozen
public struct MapOutputAggregate<Inner: Aggregate, Output: Sendable>: Aggregate {
    @usableFromInline let inner: Inner
    @usableFromInline let transform: @Sendable (Inner.Output) -> Output

    /// Creates the aggregate.
    @inlinable
    public init(_ inner: Inner, _ transform: @escaping @Sendable (Inner.Output) -> Output) {
        self.inner = inner
        self.transform = transform
    }

    /// What is wrong with the arguments of the inner aggregate.
    @inlinable public var problem: String? { inner.problem }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Inner.Accumulator { inner.initial() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Inner.Input, to accumulator: inout Inner.Accumulator) {
        inner.add(input, to: &accumulator)
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Inner.Accumulator, into accumulator: inout Inner.Accumulator) {
        inner.combine(other, into: &accumulator)
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Inner.Accumulator) -> Output {
        transform(inner.result(of: accumulator))
    }
}

extension MapOutputAggregate: InvertibleAggregate where Inner: InvertibleAggregate {
    /// Takes inputs out again.
    @inlinable
    public func subtract(_ other: Inner.Accumulator, from accumulator: inout Inner.Accumulator) {
        inner.subtract(other, from: &accumulator)
    }
}

extension Aggregate {
    /// Two aggregates of the same inputs in one pass; nest it for more.
    @inlinable
    public static func combined<First, Second>(
        _ first: First, _ second: Second
    ) -> Self where Self == CombinedAggregate<First, Second> {
        CombinedAggregate(first, second)
    }

    /// This aggregate, of what `transform` makes of each input.
    @inlinable
    public func mapInput<Element>(
        _ transform: @escaping @Sendable (Element) -> Input
    ) -> MapInputAggregate<Self, Element> {
        MapInputAggregate(self, transform)
    }

    /// This aggregate with a result that `transform` makes of its own.
    @inlinable
    public func mapOutput<Result: Sendable>(
        _ transform: @escaping @Sendable (Output) -> Result
    ) -> MapOutputAggregate<Self, Result> {
        MapOutputAggregate(self, transform)
    }
}
