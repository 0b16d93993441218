/// How the events of a window become its value: what reductions and aggregates have in common.
@usableFromInline
protocol WindowFold<Input> {
    associatedtype Input: Sendable
    associatedtype Accumulator: Sendable
    associatedtype Output: Sendable
    /// Whether accumulators can be combined, so that windows may share panes and merge.
    var combines: Bool { get }
    func initial() -> Accumulator
    func add(_ input: Input, to accumulator: inout Accumulator) throws
    /// Adds what comes behind the accumulator's inputs.
    func combine(_ other: Accumulator, into accumulator: inout Accumulator)
    func result(of accumulator: Accumulator) -> Output
    /// Whether it counts what the accumulators hold.
    var counts: Bool { get }
    /// Counts what an accumulator holds that has come into the state otherwise than by `add`.
    func entered(_ accumulator: Accumulator)
    /// The same for one that leaves the state.
    func left(_ accumulator: Accumulator)
}

extension WindowFold {
    @inlinable
    @inline(__always)
    var counts: Bool { false }

    @inlinable
    @inline(__always)
    func entered(_ accumulator: Accumulator) {}

    @inlinable
    @inline(__always)
    func left(_ accumulator: Accumulator) {}
}

@usableFromInline
struct AggregateFold<Summary: Aggregate>: WindowFold, Sendable where Summary.Input: Sendable {
    @usableFromInline let summary: Summary

    @inlinable
    init(_ summary: Summary) {
        self.summary = summary
    }

    @inlinable var combines: Bool { true }
    @inlinable func initial() -> Summary.Accumulator { summary.initial() }
    @inlinable
    func add(_ input: Summary.Input, to accumulator: inout Summary.Accumulator) {
        summary.add(input, to: &accumulator)
    }
    @inlinable
    func combine(_ other: Summary.Accumulator, into accumulator: inout Summary.Accumulator) {
        summary.combine(other, into: &accumulator)
    }
    @inlinable
    func result(of accumulator: Summary.Accumulator) -> Summary.Output {
        summary.result(of: accumulator)
    }
}

@usableFromInline
struct ReduceFold<Input: Sendable, Accumulator: Sendable, Failure: Error>: WindowFold, Sendable {
    @usableFromInline let start: Accumulator
    @usableFromInline let body: @Sendable (inout Accumulator, Input) throws(Failure) -> Void
    @usableFromInline let merge: (@Sendable (inout Accumulator, Accumulator) -> Void)?

    @inlinable
    init(
        start: Accumulator,
        body: @escaping @Sendable (inout Accumulator, Input) throws(Failure) -> Void,
        merge: (@Sendable (inout Accumulator, Accumulator) -> Void)?
    ) {
        self.start = start
        self.body = body
        self.merge = merge
    }

    @inlinable var combines: Bool { merge != nil }
    @inlinable func initial() -> Accumulator { start }
    @inlinable
    func add(_ input: Input, to accumulator: inout Accumulator) throws {
        try body(&accumulator, input)
    }
    @inlinable
    func combine(_ other: Accumulator, into accumulator: inout Accumulator) {
        merge?(&accumulator, other)
    }
    @inlinable func result(of accumulator: Accumulator) -> Accumulator { accumulator }
}
