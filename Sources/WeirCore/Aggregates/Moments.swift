/// The mean of numbers, NaN without inputs; O(1) in time and memory.
///
/// A compensated sum divided by the count, so the error is about two roundings for any order and
/// any split.
@frozen
public struct MeanAggregate<Input>: Aggregate {
    @usableFromInline let value: @Sendable (Input) -> Double

    /// What is known about the inputs so far.
    @frozen
    public struct Accumulator: Sendable, Hashable, Codable {
        @usableFromInline var count = 0
        @usableFromInline var sum = CompensatedSum()

        @inlinable
        init() {}
    }

    /// Creates the aggregate.
    @inlinable
    public init(of value: @escaping @Sendable (Input) -> Double) {
        self.value = value
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Accumulator { Accumulator() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Accumulator) {
        accumulator.count &+= 1
        accumulator.sum.add(value(input))
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Accumulator, into accumulator: inout Accumulator) {
        accumulator.count &+= other.count
        accumulator.sum.add(other.sum)
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Accumulator) -> Double {
        accumulator.count == 0 ? .nan : accumulator.sum.value / Double(accumulator.count)
    }
}

/// Count, mean and variance of numbers; O(1) in time and memory.
///
/// Updated after B. P. Welford ("Note on a method for calculating corrected sums of squares and
/// products", 1962), combined after T. F. Chan, G. H. Golub and R. J. LeVeque (1983): no
/// cancellation when the mean is large against the spread. A split changes the result by a few
/// roundings.
@frozen
public struct MomentsAggregate<Input>: Aggregate {
    @usableFromInline let value: @Sendable (Input) -> Double

    /// Creates the aggregate.
    @inlinable
    public init(of value: @escaping @Sendable (Input) -> Double) {
        self.value = value
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Moments { Moments() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Moments) {
        accumulator.add(value(input))
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Moments, into accumulator: inout Moments) {
        accumulator.add(other)
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Moments) -> Moments { accumulator }
}

/// Count, mean and variance of the numbers added so far.
@frozen
public struct Moments: Sendable, Hashable, Codable {
    @usableFromInline var numbers: Int
    @usableFromInline var average: Double
    /// The sum of the squared distances from the mean.
    @usableFromInline var squares: Double

    /// Creates the moments of nothing.
    @inlinable
    public init() {
        numbers = 0
        average = 0
        squares = 0
    }

    /// How many numbers there are.
    @inlinable
    public var count: Int { numbers }

    /// The mean, NaN without numbers.
    @inlinable
    public var mean: Double { count == 0 ? .nan : average }

    /// The variance of a population, the mean squared distance from the mean; NaN without numbers.
    @inlinable
    public var populationVariance: Double { count == 0 ? .nan : squares / Double(count) }

    /// The unbiased variance of a sample (divided by n − 1); NaN for fewer than two numbers.
    @inlinable
    public var variance: Double { count < 2 ? .nan : squares / Double(count - 1) }

    /// The square root of ``variance``.
    @inlinable
    public var standardDeviation: Double { variance.squareRoot() }

    /// The square root of ``populationVariance``.
    @inlinable
    public var populationStandardDeviation: Double { populationVariance.squareRoot() }

    /// Adds one number.
    @inlinable
    public mutating func add(_ number: Double) {
        numbers &+= 1
        let distance = number - average
        average += distance / Double(count)
        squares += distance * (number - average)
    }

    /// Adds the numbers of other moments.
    @inlinable
    public mutating func add(_ other: Moments) {
        if other.count == 0 { return }
        if count == 0 {
            self = other
            return
        }
        let total = count &+ other.count
        let distance = other.average - average
        let share = Double(other.count) / Double(total)
        average += distance * share
        squares += other.squares + distance * distance * Double(count) * share
        numbers = total
    }
}

extension Aggregate {
    /// The mean of numbers, NaN without inputs.
    @inlinable
    public static func mean<Element>(
        of value: @escaping @Sendable (Element) -> Double
    ) -> Self where Self == MeanAggregate<Element> {
        MeanAggregate(of: value)
    }

    /// The mean of integers, NaN without inputs.
    @inlinable
    public static func mean<Element, Value: BinaryInteger & Sendable>(
        of value: @escaping @Sendable (Element) -> Value
    ) -> Self where Self == MeanAggregate<Element> {
        MeanAggregate { Double(value($0)) }
    }

    /// Count, mean, variance and standard deviation of numbers.
    @inlinable
    public static func moments<Element>(
        of value: @escaping @Sendable (Element) -> Double
    ) -> Self where Self == MomentsAggregate<Element> {
        MomentsAggregate(of: value)
    }

    /// The unbiased variance of a sample; NaN for fewer than two inputs.
    @inlinable
    public static func variance<Element>(
        of value: @escaping @Sendable (Element) -> Double
    ) -> Self where Self == MapOutputAggregate<MomentsAggregate<Element>, Double> {
        MapOutputAggregate(MomentsAggregate(of: value)) { $0.variance }
    }

    /// The standard deviation of a sample; NaN for fewer than two inputs.
    @inlinable
    public static func standardDeviation<Element>(
        of value: @escaping @Sendable (Element) -> Double
    ) -> Self where Self == MapOutputAggregate<MomentsAggregate<Element>, Double> {
        MapOutputAggregate(MomentsAggregate(of: value)) { $0.standardDeviation }
    }
}
