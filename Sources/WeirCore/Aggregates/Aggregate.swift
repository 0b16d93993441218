/// A summary of many inputs that is built up input by input and merged from parts.
///
/// Windows, keyed streams and sliding panes use one through its accumulator, a value that is part
/// of the stage's state and of its checkpoints. `combine` must be associative: any split of the
/// inputs, each part added up on its own and the parts combined in order, gives the result of one
/// pass, exactly or within the documented bound.
///
/// ```swift
/// payments.keyed(by: \.card).window(.tumbling(.minutes(1)))
///     .aggregate(.combined(.count(), .sum(of: \.amount)))
/// ```
///
/// The leading-dot factories take key paths and closures; a closure after a leading dot is written
/// `{ @Sendable in $0.amount * 2 }` (the compiler does not infer `@Sendable` there), or the
/// aggregate is named: `DoubleSumAggregate { $0.amount * 2 }`.
public protocol Aggregate<Input, Output>: Sendable {
    /// What is summarised.
    associatedtype Input
    /// The summary.
    associatedtype Output: Sendable
    /// What is known about the inputs so far.
    associatedtype Accumulator: Sendable & Codable

    /// The accumulator of no input.
    func initial() -> Accumulator

    /// Adds one input.
    func add(_ input: Input, to accumulator: inout Accumulator)

    /// Adds the inputs of `other`, all of which come after those of `accumulator`.
    func combine(_ other: Accumulator, into accumulator: inout Accumulator)

    /// The summary of the inputs in `accumulator`.
    func result(of accumulator: Accumulator) -> Output

    /// What is wrong with the aggregate's arguments and how to mend it, reported by `validate()`; nil when all is well.
    var problem: String? { get }
}

extension Aggregate {
    /// Nothing is wrong.
    @inlinable public var problem: String? { nil }
}

/// An aggregate that can take inputs out again exactly, so that a sliding window need not add up
/// its panes anew.
public protocol InvertibleAggregate<Input, Output>: Aggregate {
    /// Takes out the inputs of `other`, all of which are in `accumulator`.
    func subtract(_ other: Accumulator, from accumulator: inout Accumulator)
}

extension Aggregate {
    /// The summary of a sequence, in one pass.
    ///
    /// - Complexity: O(n) additions.
    @inlinable
    public func result(over inputs: some Sequence<Input>) -> Output {
        var accumulator = initial()
        for input in inputs { add(input, to: &accumulator) }
        return result(of: accumulator)
    }
}
