import WeirCore

/// The one type of event of all streams of a composition.
struct Item: Codable, Hashable, Sendable, Comparable, CustomStringConvertible {
    /// 0 to 7.
    var key: Int
    var value: Int
    /// The event time in nanoseconds, of streams that have a known one.
    var at: Int64

    init(_ key: Int, _ value: Int, at: Int64) {
        self.key = key
        self.value = Item.bounded(value)
        self.at = at
    }

    static let keys = Set(0..<8)

    var time: EventTime { EventTime(nanoseconds: at) }

    var description: String {
        let milliseconds = at / 1_000_000
        let rest = at % 1_000_000
        return "\(key):\(value)@\(milliseconds)" + (rest == 0 ? "" : "+\(rest)ns")
    }

    /// Keeps sums of sums small.
    static func bounded(_ value: Int) -> Int { (value % 997 + 997) % 997 }

    func with(value: Int) -> Item { Item(key, value, at: at) }

    func at(_ time: Int64) -> Item { Item(key, value, at: time) }

    static func < (left: Item, right: Item) -> Bool {
        (left.key, left.value, left.at) < (right.key, right.value, right.at)
    }

    /// Itself, by code that may throw: a simulation has its transactions fail.
    func checked() throws(Unfit) -> Item {
        if key < 0 { throw Unfit() }
        return self
    }
}

struct Unfit: Error {}

typealias ItemStream = EventStream<Item>

extension EventStream {
    /// Makes items with the event times that the stream says.
    func items(_ make: @escaping @Sendable (Element, Int64) -> Item) -> ItemStream {
        withEventTime().map { make($0.element, $0.time?.nanoseconds ?? -1) }
    }
}

extension Sequence<Item> {
    /// A number that depends on the order.
    var digest: Int { reduce(0) { Item.bounded($0 * 31 + $1.value + 1) } }

    func sum() -> Int { reduce(0) { Item.bounded($0 + $1.value) } }
}

/// What is promised of a stream's events in every run, whatever the order of stages, the batches and
/// the crashes.
struct StreamTraits: Sendable {
    enum Order: Int, Sendable, Comparable {
        case any, perKey, whole

        static func < (left: Order, right: Order) -> Bool { left.rawValue < right.rawValue }
    }

    var order: Order
    /// Whether each item says its event time, and none is late.
    var isTimed: Bool
    /// The keys that items may have.
    var keys: Set<Int>

    func ordered(_ order: Order) -> StreamTraits {
        var copy = self
        copy.order = order
        return copy
    }

    /// Each key is handled by one instance.
    func keyed(_ parallelism: Int) -> StreamTraits {
        parallelism == 1 ? self : ordered(min(order, .perKey))
    }

    func untimed() -> StreamTraits {
        var copy = self
        copy.isTimed = false
        return copy
    }

    func having(_ keys: Set<Int>) -> StreamTraits {
        var copy = self
        copy.keys = keys
        return copy
    }
}

extension StreamTraits.Order {
    /// Whether two sequences are the same as far as the order is promised.
    func problem(of actual: [Item], expected: [Item]) -> String? {
        switch self {
        case .whole: return actual == expected ? nil : "\(actual), not \(expected)"
        case .any:
            let (actual, expected) = (actual.sorted(), expected.sorted())
            return actual == expected ? nil : "\(actual), not \(expected), in any order"
        case .perKey:
            for key in Item.keys.sorted() {
                let (actual, expected) = (
                    actual.filter { $0.key == key }, expected.filter { $0.key == key }
                )
                if actual != expected { return "\(actual), not \(expected), of key \(key)" }
            }
            return nil
        }
    }
}
