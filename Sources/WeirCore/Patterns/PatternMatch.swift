/// The events of a key that match a pattern, by step.
public struct PatternMatch<Key: Hashable & Codable & Sendable, Element: Sendable>: Sendable {
    /// A step of the pattern and its events.
    public struct Step: Sendable {
        /// The step's name.
        public var name: String
        /// Its events in the order in which they were matched.
        public var events: [Element]

        /// Creates a step.
        public init(name: String, events: [Element]) {
            self.name = name
            self.events = events
        }
    }

    /// The key of all its events.
    public var key: Key
    /// The steps that have events, in the pattern's order.
    public var steps: [Step]
    /// The time of the first event, in the time that the pattern follows.
    public var start: EventTime
    /// The time of the last event, in the time that the pattern follows.
    public var end: EventTime

    /// Creates a match.
    public init(key: Key, steps: [Step], start: EventTime, end: EventTime) {
        self.key = key
        self.steps = steps
        self.start = start
        self.end = end
    }

    /// The events of a step; none if it is optional and missing, or not yet matched.
    public subscript(name: String) -> [Element] {
        for step in steps where step.name == name { return step.events }
        return []
    }
}

extension PatternMatch.Step: Equatable where Element: Equatable {}
extension PatternMatch.Step: Hashable where Element: Hashable {}
extension PatternMatch.Step: Encodable where Element: Encodable {}
extension PatternMatch.Step: Decodable where Element: Decodable {}
extension PatternMatch: Equatable where Element: Equatable {}
extension PatternMatch: Hashable where Element: Hashable {}
extension PatternMatch: Encodable where Element: Encodable {}
extension PatternMatch: Decodable where Element: Decodable {}

/// What a partial match has taken so far, for conditions that depend on it.
public struct PartialMatch<Element: Sendable>: Sendable {
    @usableFromInline let buffer: MatchBuffer<Element>
    @usableFromInline let node: Int32

    @inlinable
    init(_ buffer: MatchBuffer<Element>, _ node: Int32) {
        self.buffer = buffer
        self.node = node
    }

    /// The events of a step in order; none if it has not taken any.
    public subscript(name: String) -> [Element] {
        var events: [Element] = []
        forEach(of: name) {
            events.append($0)
            return true
        }
        return events.reversed()
    }

    /// The newest event of a step.
    public func last(_ name: String) -> Element? {
        var event: Element?
        forEach(of: name) {
            event = $0
            return false
        }
        return event
    }

    /// How many events a step has taken.
    public func count(_ name: String) -> Int {
        var count = 0
        forEach(of: name) { _ in
            count += 1
            return true
        }
        return count
    }

    /// Newest first, as long as `body` says so.
    private func forEach(of name: String, _ body: (Element) -> Bool) {
        guard let step = buffer.names.firstIndex(of: name).map(Int32.init) else { return }
        var index = node
        while index >= 0 {
            let entry = buffer.nodes[Int(index)]
            if buffer.labels[Int(entry.step)] == step,
                let event = buffer.events[Int(entry.event)].event
            {
                if !body(event) { return }
            }
            index = entry.parent
        }
    }
}
