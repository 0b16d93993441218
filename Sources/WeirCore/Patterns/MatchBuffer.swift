/// The events of a key's partial matches, each once, and the matches as a tree: matches that
/// begin alike share their beginning.
///
/// A node is an event taken by a step, with the node before it; a partial match is its newest
/// node. Nodes have one predecessor each, so that no version numbers are needed to tell matches
/// apart, as in SASE+'s buffer. Slots are counted references and used again; nothing recurses,
/// however long a match is.
@usableFromInline
struct MatchBuffer<Element: Sendable>: Sendable {
    @usableFromInline
    struct Event: Sendable {
        @usableFromInline var event: Element?
        @usableFromInline var time: Int64
        /// Its number among the key's events.
        @usableFromInline var number: Int
        @usableFromInline var references: Int32

        @inlinable
        init(event: Element?, time: Int64, number: Int, references: Int32) {
            self.event = event
            self.time = time
            self.number = number
            self.references = references
        }
    }

    @usableFromInline
    struct Node: Sendable, Codable {
        @usableFromInline var event: Int32
        @usableFromInline var parent: Int32
        @usableFromInline var step: Int32
        @usableFromInline var references: Int32

        @inlinable
        init(event: Int32, parent: Int32, step: Int32, references: Int32) {
            self.event = event
            self.parent = parent
            self.step = step
            self.references = references
        }
    }

    @usableFromInline var events: ContiguousArray<Event> = []
    @usableFromInline var nodes: ContiguousArray<Node> = []
    @usableFromInline var freeEvents: ContiguousArray<Int32> = []
    @usableFromInline var freeNodes: ContiguousArray<Int32> = []
    /// The names of the steps, for conditions that look back; not kept in checkpoints.
    @usableFromInline var names: [String] = []
    /// The first step of the same name, for each step.
    @usableFromInline var labels: [Int32] = []

    @inlinable
    init() {}

    @inlinable var eventCount: Int { events.count - freeEvents.count }

    @inlinable
    func partialMatch(at node: Int32) -> PartialMatch<Element> { PartialMatch(self, node) }

    /// Takes an event in, with one reference.
    @inlinable
    mutating func add(_ event: Element, at time: Int64, number: Int) -> Int32 {
        let entry = Event(event: event, time: time, number: number, references: 1)
        if let slot = freeEvents.popLast() {
            events[Int(slot)] = entry
            return slot
        }
        events.append(entry)
        return Int32(truncatingIfNeeded: events.count - 1)
    }

    /// Adds a node, with one reference, behind `parent`.
    @inlinable
    mutating func add(event: Int32, step: Int, behind parent: Int32) -> Int32 {
        events[Int(event)].references += 1
        if parent >= 0 { nodes[Int(parent)].references += 1 }
        let node = Node(
            event: event, parent: parent, step: Int32(truncatingIfNeeded: step), references: 1)
        if let slot = freeNodes.popLast() {
            nodes[Int(slot)] = node
            return slot
        }
        nodes.append(node)
        return Int32(truncatingIfNeeded: nodes.count - 1)
    }

    @usableFromInline
    mutating func name(_ pattern: CompiledPattern<Element>) {
        names = pattern.names
        labels = pattern.labels
    }

    @inlinable
    mutating func retain(_ node: Int32) {
        nodes[Int(node)].references += 1
    }

    @inlinable
    mutating func release(_ node: Int32) {
        var next = node
        while next >= 0 {
            let index = Int(next)
            nodes[index].references -= 1
            if nodes[index].references > 0 { return }
            releaseEvent(nodes[index].event)
            freeNodes.append(next)
            next = nodes[index].parent
        }
    }

    @inlinable
    mutating func releaseEvent(_ slot: Int32) {
        let index = Int(slot)
        events[index].references -= 1
        if events[index].references > 0 { return }
        events[index].event = nil
        freeEvents.append(slot)
    }

    /// Forgets the slots of what has been released once nothing is left.
    @inlinable
    mutating func shrink() {
        if eventCount > 0 { return }
        events.removeAll()
        nodes.removeAll()
        freeEvents.removeAll()
        freeNodes.removeAll()
    }

    /// The event of a node.
    @inlinable
    func event(of node: Int32) -> Event { events[Int(nodes[Int(node)].event)] }

    /// The numbers of the first and last event of a step in the match that ends at a node.
    @inlinable
    func numbers(of step: Int, at node: Int32) -> (first: Int, last: Int)? {
        var result: (first: Int, last: Int)?
        var next = node
        while next >= 0 {
            let entry = nodes[Int(next)]
            if Int(labels[Int(entry.step)]) == step {
                let number = events[Int(entry.event)].number
                result = (number, result?.last ?? number)
            }
            next = entry.parent
        }
        return result
    }

    /// The match that ends at a node.
    @inlinable
    func match<Key>(
        at node: Int32, key: Key, start: Int64
    ) -> PatternMatch<Key, Element> {
        var chain: ContiguousArray<Int32> = []
        var next = node
        while next >= 0 {
            chain.append(next)
            next = nodes[Int(next)].parent
        }
        var steps: [PatternMatch<Key, Element>.Step] = []
        var current: Int32 = -1
        // The labels of the steps so far: a group may come back to one.
        var seen: UInt64 = 0
        for index in chain.reversed() {
            let entry = nodes[Int(index)]
            guard let event = events[Int(entry.event)].event else { continue }
            if entry.step == current {
                steps[steps.count - 1].events.append(event)
            } else {
                current = entry.step
                let name = names[Int(current)]
                let bit: UInt64 = 1 << UInt64(labels[Int(current)])
                if seen & bit != 0, let known = steps.firstIndex(where: { $0.name == name }) {
                    steps[known].events.append(event)
                    current = -1
                } else {
                    seen |= bit
                    steps.append(.init(name: name, events: [event]))
                }
            }
        }
        return PatternMatch(
            key: key, steps: steps, start: EventTime(nanoseconds: start),
            end: EventTime(nanoseconds: event(of: node).time))
    }
}

extension MatchBuffer {
    @usableFromInline
    enum CodingKeys: String, CodingKey { case events, nodes, freeEvents, freeNodes }
}

extension MatchBuffer.Event: Encodable where Element: Encodable {}
extension MatchBuffer.Event: Decodable where Element: Decodable {}
extension MatchBuffer: Encodable where Element: Encodable {}
extension MatchBuffer: Decodable where Element: Decodable {}
