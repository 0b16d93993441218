/// Contiguous events with their event times: what travels between stages.
///
/// A batch is a value. Times are a column of their own, empty as long as no event time has been assigned, so that
/// streams without event time do not pay for it.
public struct Batch<Element> {
    /// The events, oldest first.
    public var elements: ContiguousArray<Element>

    /// The event time of each event; empty when the stream has no event time, else as long as `elements`.
    public var times: ContiguousArray<EventTime>

    /// Creates an empty batch.
    @inlinable
    public init() {
        elements = []
        times = []
    }

    /// Creates a batch of events without event times.
    @inlinable
    public init(_ elements: ContiguousArray<Element>) {
        self.elements = elements
        self.times = []
    }

    /// Creates a batch of events and their times; `times` is empty or as long as `elements`.
    @inlinable
    public init(_ elements: ContiguousArray<Element>, times: ContiguousArray<EventTime>) {
        precondition(times.isEmpty || times.count == elements.count, "one time per event, or none")
        self.elements = elements
        self.times = times
    }

    /// The number of events.
    @inlinable
    public var count: Int { elements.count }

    /// Whether there is no event.
    @inlinable
    public var isEmpty: Bool { elements.isEmpty }

    /// Whether events carry an event time.
    @inlinable
    public var hasTimes: Bool { !times.isEmpty }

    /// The time of the event at `index`, or `EventTime.min` when the stream has no event time.
    @inlinable
    public func time(at index: Int) -> EventTime {
        times.isEmpty ? .min : times[index]
    }

    /// Adds an event without an event time.
    @inlinable
    public mutating func append(_ element: Element) {
        elements.append(element)
        if !times.isEmpty { times.append(.min) }
    }

    /// Adds an event with its event time; `EventTime.min` stands for none.
    @inlinable
    public mutating func append(_ element: Element, at time: EventTime) {
        if times.isEmpty {
            if time == .min {
                elements.append(element)
                return
            }
            times = ContiguousArray(repeating: .min, count: elements.count)
        }
        elements.append(element)
        times.append(time)
    }

    /// Adds all events of another batch.
    @inlinable
    public mutating func append(contentsOf other: Batch<Element>) {
        if other.isEmpty { return }
        if isEmpty {
            self = other
            return
        }
        if hasTimes || other.hasTimes {
            if !hasTimes { times = ContiguousArray(repeating: .min, count: count) }
            if other.hasTimes {
                times.append(contentsOf: other.times)
            } else {
                times.append(contentsOf: repeatElement(.min, count: other.count))
            }
        }
        elements.append(contentsOf: other.elements)
    }

    /// The events of a range of positions as a batch of their own.
    ///
    /// Complexity: O(length of the range).
    @inlinable
    public func slice(_ range: Range<Int>) -> Batch<Element> {
        if range == 0..<count { return self }
        return Batch(
            ContiguousArray(elements[range]),
            times: hasTimes ? ContiguousArray(times[range]) : [])
    }

    /// Removes all events, keeping nothing.
    @inlinable
    public mutating func removeAll() {
        self = Batch()
    }
}

extension Batch: Sendable where Element: Sendable {}
extension Batch: Equatable where Element: Equatable {}
extension Batch: Codable where Element: Codable {}
