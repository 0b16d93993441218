/// The first input in order of arrival, nil without inputs; O(1) in time and memory.
@frozen
public struct FirstAggregate<Input: Sendable & Codable>: Aggregate {
    /// Creates the aggregate.
    @inlinable
    public init() {}

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Input? { nil }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Input?) {
        if accumulator == nil { accumulator = .some(input) }
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Input?, into accumulator: inout Input?) {
        if accumulator == nil { accumulator = other }
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Input?) -> Input? { accumulator }
}

/// The last input in order of arrival, nil without inputs; O(1) in time and memory.
@frozen
public struct LastAggregate<Input: Sendable & Codable>: Aggregate {
    /// Creates the aggregate.
    @inlinable
    public init() {}

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Input? { nil }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Input?) { accumulator = .some(input) }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Input?, into accumulator: inout Input?) {
        if other != nil { accumulator = other }
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Input?) -> Input? { accumulator }
}

/// The first inputs in order of arrival, up to a limit, and how many came after; O(limit) in
/// memory.
@frozen
public struct CollectAggregate<Input: Sendable & Codable>: Aggregate {
    @usableFromInline let limit: Int

    /// Creates the aggregate.
    ///
    /// - Parameter limit: How many inputs are kept, not negative. Default 1,000.
    @inlinable
    public init(limit: Int = 1_000) {
        self.limit = limit
    }

    /// What is wrong with the limit.
    public var problem: String? {
        limit >= 0 ? nil : "the limit of a collection is not negative; it is \(limit)"
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> Collected<Input> { Collected() }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout Collected<Input>) {
        if accumulator.elements.count < limit {
            accumulator.elements.append(input)
        } else {
            accumulator.droppedCount &+= 1
        }
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: Collected<Input>, into accumulator: inout Collected<Input>) {
        let room = Swift.min(Swift.max(0, limit - accumulator.elements.count), other.elements.count)
        accumulator.elements += other.elements.prefix(room)
        accumulator.droppedCount &+= other.droppedCount &+ other.elements.count &- room
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: Collected<Input>) -> Collected<Input> { accumulator }
}

/// The elements that a bounded collection has kept.
@frozen
public struct Collected<Element: Sendable & Codable>: Sendable, Codable {
    /// What was kept, in order.
    public var elements: [Element]
    /// How many more there were.
    public var droppedCount: Int

    @inlinable
    init() {
        elements = []
        droppedCount = 0
    }
}

extension Collected: Equatable where Element: Equatable {}
extension Collected: Hashable where Element: Hashable {}

/// The k inputs with the largest keys, largest first, exactly; O(log k) comparisons per input and
/// O(k) in memory.
///
/// Of inputs with equal keys the earlier comes first. Inputs whose key is not equal to itself (NaN)
/// are ignored.
@frozen
public struct TopAggregate<Input: Sendable & Codable, Key: Comparable>: Aggregate {
    @usableFromInline let count: Int
    @usableFromInline let key: @Sendable (Input) -> Key

    /// Creates the aggregate.
    ///
    /// - Parameters:
    ///   - count: How many inputs the list has at most, 1 to 100,000.
    ///   - key: What the inputs are ordered by.
    @inlinable
    public init(_ count: Int, by key: @escaping @Sendable (Input) -> Key) {
        self.count = count
        self.key = key
    }

    /// What is wrong with the count.
    public var problem: String? {
        if (1...100_000).contains(count) { return nil }
        return "a top list has 1 to 100000 places, not \(count)"
    }

    /// The accumulator of no input.
    @inlinable
    public func initial() -> [Input] { [] }

    /// Adds one input.
    @inlinable
    public func add(_ input: Input, to accumulator: inout [Input]) {
        let candidate = key(input)
        guard candidate == candidate else { return }
        if accumulator.count >= count {
            guard let last = accumulator.last, key(last) < candidate else { return }
            accumulator.removeLast()
        }
        var low = 0
        var high = accumulator.count
        while low < high {
            let middle = (low &+ high) >> 1
            if key(accumulator[middle]) < candidate { high = middle } else { low = middle &+ 1 }
        }
        accumulator.insert(input, at: low)
    }

    /// Adds the inputs of a later accumulator.
    @inlinable
    public func combine(_ other: [Input], into accumulator: inout [Input]) {
        for input in other { add(input, to: &accumulator) }
    }

    /// The summary of the inputs so far.
    @inlinable
    public func result(of accumulator: [Input]) -> [Input] { accumulator }
}

extension Aggregate {
    /// The first input, nil without inputs.
    @inlinable
    public static func first<Element>() -> Self where Self == FirstAggregate<Element> {
        FirstAggregate()
    }

    /// The last input, nil without inputs.
    @inlinable
    public static func last<Element>() -> Self where Self == LastAggregate<Element> {
        LastAggregate()
    }

    /// The first inputs up to a limit, and how many came after.
    @inlinable
    public static func collect<Element>(
        limit: Int = 1_000
    ) -> Self where Self == CollectAggregate<Element> {
        CollectAggregate(limit: limit)
    }

    /// The inputs with the largest keys, largest first, exactly.
    @inlinable
    public static func topK<Element, Key>(
        _ count: Int, by key: @escaping @Sendable (Element) -> Key
    ) -> Self where Self == TopAggregate<Element, Key> {
        TopAggregate(count, by: key)
    }
}
