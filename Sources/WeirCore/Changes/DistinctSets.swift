/// How many different values there are, exactly: of all inputs, and of those of up to seven bands.
///
/// One set serves all bands: it remembers of each value in which bands it has been. It takes about
/// twelve bytes for an `Int`, whatever the number of bands.
///
/// ```swift
/// bids.keyed(by: \.channel).aggregate(
///     .distinctCounts(of: \.bidder) { $0.price < 10_000 ? 0b01 : 0b10 })
/// ```
public struct DistinctCountsAggregate<Input, Value>: Aggregate
where Value: Hashable & Codable & Sendable {
    @usableFromInline let value: @Sendable (Input) -> Value
    @usableFromInline let bands: @Sendable (Input) -> UInt8

    /// Creates the aggregate; see ``Aggregate/distinctCounts(of:bands:)``.
    @inlinable
    public init(
        of value: @escaping @Sendable (Input) -> Value,
        bands: @escaping @Sendable (Input) -> UInt8
    ) {
        self.value = value
        self.bands = bands
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> BandedSet<Value> { BandedSet() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout BandedSet<Value>) {
        accumulator.insert(value(input), bands: bands(input))
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: BandedSet<Value>, into accumulator: inout BandedSet<Value>) {
        other.forEach { accumulator.insert($0, bands: $1) }
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: BandedSet<Value>) -> BandedCounts { accumulator.counts }
}

/// The number of different values in all and in each band, up to 4,294,967,295.
///
/// It takes 32 bytes, since it travels with each change of a result.
@frozen
public struct BandedCounts: Sendable, Hashable, Codable {
    /// Of the bands in the first seven, of all in the last.
    @usableFromInline var lanes = SIMD8<UInt32>()

    @inlinable
    init() {}

    /// Of all inputs.
    @inlinable
    public var total: Int { Int(lanes[7]) }

    /// Of the inputs in a band, 0 to 6; 0 for other numbers.
    @inlinable
    public func inBand(_ band: Int) -> Int {
        (0..<7).contains(band) ? Int(lanes[band]) : 0
    }
}

/// A set whose members remember the bands that they have been in: open addressing with linear
/// probing, at most three quarters full.
public struct BandedSet<Value: Hashable & Codable & Sendable>: Sendable {
    /// The values; what stands in a free slot means nothing.
    @usableFromInline var values: ContiguousArray<Value> = []
    /// The bands of each slot's value, with bit 7 set; 0 for a free slot.
    @usableFromInline var marks: ContiguousArray<UInt8> = []
    /// How many different values there are.
    @usableFromInline var counts = BandedCounts()

    /// No value.
    @inlinable
    public init() {}

    /// Adds a value to some bands.
    ///
    /// - Complexity: O(1), amortised.
    @inlinable
    public mutating func insert(_ value: Value, bands: UInt8) {
        if (counts.total &+ 1) &* 4 > marks.count &* 3 { grow(filler: value) }
        let mask = marks.count &- 1
        var slot = Int(truncatingIfNeeded: stableHash(value)) & mask
        while marks[slot] != 0 {
            if values[slot] == value || isSameUnequal(values[slot], value) {
                let new = bands & 0x7f & ~marks[slot]
                if new != 0 {
                    marks[slot] |= new
                    count(new)
                }
                return
            }
            slot = (slot &+ 1) & mask
        }
        values[slot] = value
        marks[slot] = bands | 0x80
        counts.lanes[7] &+= 1
        count(bands & 0x7f)
    }

    /// Calls `body` with each value and its bands.
    @inlinable
    public func forEach(_ body: (Value, UInt8) -> Void) {
        for slot in marks.indices where marks[slot] != 0 { body(values[slot], marks[slot] & 0x7f) }
    }

    @inlinable
    mutating func count(_ bands: UInt8) {
        var left = bands
        while left != 0 {
            counts.lanes[left.trailingZeroBitCount] &+= 1
            left &= left &- 1
        }
    }

    @inlinable
    mutating func grow(filler: Value) {
        let (oldValues, oldMarks) = (values, marks)
        let capacity = max(8, oldMarks.count &* 2)
        values = ContiguousArray(repeating: filler, count: capacity)
        marks = ContiguousArray(repeating: 0, count: capacity)
        let mask = capacity &- 1
        for old in oldMarks.indices where oldMarks[old] != 0 {
            var slot = Int(truncatingIfNeeded: stableHash(oldValues[old])) & mask
            while marks[slot] != 0 { slot = (slot &+ 1) & mask }
            values[slot] = oldValues[old]
            marks[slot] = oldMarks[old]
        }
    }
}

extension BandedSet: Codable {
    private enum CodingKeys: String, CodingKey { case values, marks }

    /// Reads the values and their bands.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let values = try container.decode([Value].self, forKey: .values)
        let marks = try container.decode([UInt8].self, forKey: .marks)
        self.init()
        for (value, bands) in zip(values, marks) { insert(value, bands: bands) }
    }

    /// Writes the values and their bands.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        // Equal sets are written equally, whatever the order in which they were filled.
        var members: [(hash: UInt64, value: Value, bands: UInt8)] = []
        members.reserveCapacity(counts.total)
        forEach { members.append((stableHash($0), $0, $1)) }
        members.sort { $0.hash < $1.hash }
        try container.encode(members.map { $0.value }, forKey: .values)
        try container.encode(members.map { $0.bands }, forKey: .marks)
    }
}

extension Aggregate {
    /// Counts different values exactly, in all and by bands.
    ///
    /// - Parameters:
    ///   - value: What is counted.
    ///   - bands: The bands of an input, one bit each, 0 to 6; none by default.
    @inlinable
    public static func distinctCounts<Element, Value>(
        of value: @escaping @Sendable (Element) -> Value,
        bands: @escaping @Sendable (Element) -> UInt8 = { _ in 0 }
    ) -> Self where Self == DistinctCountsAggregate<Element, Value> {
        DistinctCountsAggregate(of: value, bands: bands)
    }
}
