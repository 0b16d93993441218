/// The 48-byte event of the core benchmarks.
struct Event: Sendable, BitwiseCopyable {
    var id: Int64
    var key: Int64
    var at: Int64
    var quantity: Int64
    var amount: Double
    var price: Double
}

/// The same with a name of 20 characters, which does not fit into a String without an allocation.
struct NamedEvent: Sendable {
    var id: Int64
    var key: Int64
    var at: Int64
    var quantity: Int64
    var amount: Double
    var price: Double
    var name: String
}

/// The events that every side of a core benchmark reads: a ring of 1,024 prepared ones (48 KiB, so
/// that the source costs a read from the cache and nothing else), gone round as often as needed.
struct EventRing<Element: Sendable>: Sendable {
    let elements: [Element]

    init(_ make: (_ index: Int, _ random: inout SplitMix64) -> Element) {
        var random = SplitMix64(seed: 42)
        elements = (0..<1_024).map { make($0, &random) }
    }

    @inline(__always)
    subscript(index: Int) -> Element { elements[index & 1_023] }
}

extension EventRing<Event> {
    static let events = EventRing<Event> { index, random in
        Event(
            id: Int64(index), key: Int64(random.next() % 1_000), at: Int64(index) * 1_000,
            quantity: Int64(random.next() % 100), amount: Double(random.next() % 10_000) / 100,
            price: Double(random.next() % 1_000))
    }
}

extension EventRing<NamedEvent> {
    static let namedEvents = EventRing<NamedEvent> { index, random in
        let event = EventRing<Event>.events[index]
        let digits = String(1_000_000_000_000 + random.next() % 1_000_000_000_000)
        return NamedEvent(
            id: event.id, key: event.key, at: event.at, quantity: event.quantity,
            amount: event.amount, price: event.price, name: "device-" + digits)
    }
}

/// What a sink does with an event: it counts it and sums one of its fields.
struct Tally: Sendable {
    private(set) var count = 0
    private(set) var sum: Int64 = 0

    @inline(__always)
    mutating func add(_ value: Int64) {
        count += 1
        sum &+= value
    }

    var checksum: UInt64 { UInt64(bitPattern: sum) }
}

extension Stopwatch {
    func sample(_ tally: Tally) -> Sample {
        sample(events: tally.count, checksum: tally.checksum)
    }
}
