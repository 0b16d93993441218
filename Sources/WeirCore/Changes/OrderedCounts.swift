/// The smallest or the largest value, of inputs that can be taken out again; nil without inputs.
///
/// Values that are not equal to themselves (NaN) are ignored. Keeps every different value with its
/// number, in order: O(log n) to find one and O(n) to make room for a new one, n being the number of
/// different values. Where nothing is ever taken out, ``Aggregate/min(of:)`` and
/// ``Aggregate/max(of:)`` need one value only.
public struct OrderedExtremumAggregate<Input, Value>: InvertibleAggregate
where Value: Comparable & Codable & Sendable {
    @usableFromInline let value: @Sendable (Input) -> Value
    @usableFromInline let isLargest: Bool

    /// Creates the aggregate.
    @inlinable
    public init(largest isLargest: Bool, of value: @escaping @Sendable (Input) -> Value) {
        self.value = value
        self.isLargest = isLargest
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> OrderedCounts<Value> { OrderedCounts() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout OrderedCounts<Value>) {
        accumulator.add(value(input), 1)
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(
        _ other: OrderedCounts<Value>, into accumulator: inout OrderedCounts<Value>
    ) {
        for entry in other.entries { accumulator.add(entry.value, entry.count) }
    }

    /// Takes inputs out again.
    @inlinable
    public func subtract(
        _ other: OrderedCounts<Value>, from accumulator: inout OrderedCounts<Value>
    ) {
        for entry in other.entries { accumulator.add(entry.value, -entry.count) }
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: OrderedCounts<Value>) -> Value? {
        isLargest ? accumulator.entries.last?.value : accumulator.entries.first?.value
    }
}

/// Values in their order, each with how often it is there.
public struct OrderedCounts<Value: Comparable & Codable & Sendable>: Sendable, Codable {
    @usableFromInline
    struct Entry: Sendable, Codable {
        @usableFromInline let value: Value
        @usableFromInline var count: Int

        @inlinable
        init(value: Value, count: Int) {
            self.value = value
            self.count = count
        }
    }

    @usableFromInline var entries: ContiguousArray<Entry> = []

    /// No value.
    @inlinable
    public init() {}

    @inlinable
    mutating func add(_ value: Value, _ count: Int) {
        guard value == value else { return }
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].value < value { low = middle + 1 } else { high = middle }
        }
        guard low < entries.count, entries[low].value == value else {
            return entries.insert(Entry(value: value, count: count), at: low)
        }
        entries[low].count += count
        if entries[low].count == 0 { entries.remove(at: low) }
    }
}

extension Aggregate {
    /// The smallest value of inputs that come and go.
    @inlinable
    public static func smallest<Element, Value>(
        of value: @escaping @Sendable (Element) -> Value
    ) -> Self where Self == OrderedExtremumAggregate<Element, Value> {
        OrderedExtremumAggregate(largest: false, of: value)
    }

    /// The largest value of inputs that come and go.
    @inlinable
    public static func largest<Element, Value>(
        of value: @escaping @Sendable (Element) -> Value
    ) -> Self where Self == OrderedExtremumAggregate<Element, Value> {
        OrderedExtremumAggregate(largest: true, of: value)
    }
}
