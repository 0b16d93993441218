/// Adds up integers; O(1) in time and memory.
///
/// The sum is kept in 128 bits, so it is exact while it is built, whatever the order. A result that
/// does not fit the integer type is clamped to its smallest or largest value.
@frozen
public struct IntegerSumAggregate<Input, Value>: InvertibleAggregate
where Value: FixedWidthInteger & Sendable {
    @usableFromInline let value: @Sendable (Input) -> Value

    /// Creates the aggregate.
    @inlinable
    public init(of value: @escaping @Sendable (Input) -> Value) {
        self.value = value
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> WideSum { WideSum() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout WideSum) {
        accumulator.value &+= Int128(truncatingIfNeeded: value(input))
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: WideSum, into accumulator: inout WideSum) {
        accumulator.value &+= other.value
    }

    /// Takes inputs out again.
    @inlinable
    public func subtract(_ other: WideSum, from accumulator: inout WideSum) {
        accumulator.value &-= other.value
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: WideSum) -> Value { Value(clamping: accumulator.value) }
}

/// A sum of integers in 128 bits.
@frozen
public struct WideSum: Sendable, Hashable, Codable {
    /// The sum.
    public var value: Int128

    /// Creates a sum.
    @inlinable
    public init(_ value: Int128 = 0) {
        self.value = value
    }

    /// Reads the high and the low half, since few decoders know 128-bit integers.
    public init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        let high = try container.decode(Int64.self)
        let low = try container.decode(UInt64.self)
        value = Int128(high) << 64 | Int128(low)
    }

    /// Writes the high and the low half.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        try container.encode(Int64(truncatingIfNeeded: value >> 64))
        try container.encode(UInt64(truncatingIfNeeded: value))
    }
}

/// Adds up floating-point numbers with a compensated sum; O(1) in time and memory.
///
/// The error is about one rounding of the result plus n·2⁻¹⁰⁶ of the sum of the magnitudes, for any
/// order and any split (A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation
/// endlicher Summen", 1974). It is not invertible: what infinities and lost bits leave behind
/// cannot be taken out again.
@frozen
public struct DoubleSumAggregate<Input>: Aggregate {
    @usableFromInline let value: @Sendable (Input) -> Double

    /// Creates the aggregate.
    @inlinable
    public init(of value: @escaping @Sendable (Input) -> Double) {
        self.value = value
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> CompensatedSum { CompensatedSum() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout CompensatedSum) {
        accumulator.add(value(input))
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: CompensatedSum, into accumulator: inout CompensatedSum) {
        accumulator.add(other)
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: CompensatedSum) -> Double { accumulator.value }
}

/// A floating-point sum together with the rounding errors made so far.
@frozen
public struct CompensatedSum: Sendable, Hashable, Codable {
    @usableFromInline var sum = 0.0
    @usableFromInline var compensation = 0.0

    /// Creates a sum of nothing.
    @inlinable
    public init() {}

    /// The sum, rounded once.
    @inlinable
    public var value: Double { sum.isFinite ? sum + compensation : sum }

    /// Adds one number.
    @inlinable
    public mutating func add(_ number: Double) {
        let next = sum + number
        // Knuth's two-sum gives the rounding error without a branch on which of the two is larger.
        let part = next - sum
        let error = (sum - (next - part)) + (number - part)
        if error.isFinite { compensation += error }
        sum = next
    }

    /// Adds another sum.
    @inlinable
    public mutating func add(_ other: CompensatedSum) {
        add(other.sum)
        compensation += other.compensation
    }
}

extension Aggregate {
    /// Adds up integers, exactly; a result that does not fit is clamped.
    @inlinable
    public static func sum<Element, Value>(
        of value: @escaping @Sendable (Element) -> Value
    ) -> Self where Self == IntegerSumAggregate<Element, Value> {
        IntegerSumAggregate(of: value)
    }

    /// Adds up floating-point numbers with a compensated sum.
    @inlinable
    public static func sum<Element>(
        of value: @escaping @Sendable (Element) -> Double
    ) -> Self where Self == DoubleSumAggregate<Element> {
        DoubleSumAggregate(of: value)
    }
}
