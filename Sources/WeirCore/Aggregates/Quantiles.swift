/// Quantiles of numbers with a bounded relative error; O(1) per input, at most about 32 kB in
/// memory.
///
/// Each result is within `relativeError` (default 1 %) of the exact quantile, of rank ⌊q·(n − 1)⌋.
/// The sketch is DDSketch (C. Masson, J. E. Rim, H. K. Lee, VLDB 2019). It is chosen over the
/// t-digest because its bound is guaranteed and because merging is exact: any order and any split
/// give the same result. NaN and infinities are ignored. Results are NaN without inputs.
@frozen
public struct QuantilesAggregate<Input>: Aggregate {
    @usableFromInline let quantiles: [Double]
    @usableFromInline let relativeError: Double
    @usableFromInline let value: @Sendable (Input) -> Double

    /// Creates the aggregate.
    ///
    /// - Parameters:
    ///   - quantiles: Each from 0 to 1.
    ///   - relativeError: From 0.001 to 0.1. Default 0.01.
    ///   - value: The number of an input.
    @inlinable
    public init(
        _ quantiles: [Double], relativeError: Double = 0.01,
        of value: @escaping @Sendable (Input) -> Double
    ) {
        self.quantiles = quantiles
        self.relativeError = relativeError
        self.value = value
    }

    /// What is wrong with the quantiles or the error.
    public var problem: String? {
        if let wrong = quantiles.first(where: { !($0 >= 0 && $0 <= 1) }) {
            return "a quantile is a number from 0 to 1, such as 0.99, not \(wrong)"
        }
        if relativeError >= 0.001 && relativeError <= 0.1 { return nil }
        return "the relative error of quantiles is 0.001 to 0.1, not \(relativeError)"
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> QuantileSketch { QuantileSketch(relativeError: relativeError) }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout QuantileSketch) {
        accumulator.insert(value(input))
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: QuantileSketch, into accumulator: inout QuantileSketch) {
        accumulator.merge(other)
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: QuantileSketch) -> [Double] {
        quantiles.map { accumulator.quantile($0) }
    }
}

extension Aggregate {
    /// Quantiles of numbers, such as `[0.5, 0.99]`, within a relative error of 1 % unless said
    /// otherwise.
    @inlinable
    public static func quantiles<Element>(
        _ quantiles: [Double], relativeError: Double = 0.01,
        of value: @escaping @Sendable (Element) -> Double
    ) -> Self where Self == QuantilesAggregate<Element> {
        QuantilesAggregate(quantiles, relativeError: relativeError, of: value)
    }
}
