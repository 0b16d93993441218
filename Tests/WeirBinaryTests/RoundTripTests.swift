import Foundation
import Testing

@testable import WeirBinary

/// Encodes a value with both coders, and decodes it; both have to give the value back.
func expectRoundTrip<Value: Codable & Equatable>(
    _ value: Value, comparesJSON: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
) {
    do {
        let bytes = try BinaryEncoder().encode(value)
        let decoded = try BinaryDecoder().decode(Value.self, from: bytes)
        #expect(decoded == value, sourceLocation: sourceLocation)
        if comparesJSON {
            let data = try JSONEncoder().encode(value)
            let model = try JSONDecoder().decode(Value.self, from: data)
            #expect(decoded == model, sourceLocation: sourceLocation)
        }
        #expect(throws: Never.self, sourceLocation: sourceLocation) {
            _ = try BinaryValue.values(of: bytes)
        }
    } catch {
        Issue.record(error, sourceLocation: sourceLocation)
    }
}

struct Event: Codable, Equatable {
    var id: Int
    var card: String
    var amount: Double
    var at: Int64
    var isNew: Bool
}

struct Order: Codable, Equatable {
    struct Item: Codable, Equatable {
        var sku: String
        var count: UInt8
        var note: String?
    }

    enum State: Codable, Equatable {
        case open
        case paid(amount: Double, currency: String)
        case sent(Int, to: [String])
    }

    var id: UUID
    var at: Date
    var items: [Item]
    var state: State
    var tags: [String: Int]
    var prices: [Int: Float]
    var pairs: [State.Name: Item]
    var raw: Data
    var optional: [Int?]
    var parent: Box?
    var level: Level
}

extension Order.State {
    struct Name: Codable, Hashable { var text: String }
}

enum Level: Int, Codable { case low = -3, high = 900 }

final class Box: Codable, Equatable {
    let value: Int
    let next: Box?
    init(_ value: Int, _ next: Box? = nil) { (self.value, self.next) = (value, next) }
    static func == (left: Box, right: Box) -> Bool {
        left.value == right.value && left.next == right.next
    }
}

@Suite struct `A value of any Codable type survives the binary coder` {
    @Test func `a flat event`() {
        expectRoundTrip(
            Event(id: -7, card: "4111-1111-1111-1111", amount: 12.5, at: 1 << 41, isNew: true))
    }

    @Test func `a nested value with enums, dictionaries, dates and data`() {
        let order = Order(
            id: UUID(), at: Date(timeIntervalSinceReferenceDate: 12_345.5),
            items: [
                .init(sku: "a", count: 1, note: nil), .init(sku: "b", count: 255, note: "x"),
            ],
            state: .paid(amount: 0.1, currency: "EUR"), tags: ["a": 1, "": -1, "42": 7],
            prices: [1: 0.5, -2: 1e30], pairs: [.init(text: "n"): .init(sku: "c", count: 0)],
            raw: Data((0...255).map { UInt8($0) }), optional: [1, nil, 3],
            parent: Box(1, Box(2)), level: .low)
        expectRoundTrip(order)
        var other = order
        other.state = .sent(3, to: ["x", "y"])
        expectRoundTrip([order, other])
        other.state = .open
        expectRoundTrip(other)
    }

    @Test func `numbers at the ends of their ranges`() {
        func ends<Value: FixedWidthInteger & Codable>(_ type: Value.Type) {
            let values = [Value.min, .max, 0, 1, 63, 64, 127, Value.max / 2, Value.min / 2]
            expectRoundTrip(values, comparesJSON: false)
            for value in values { expectRoundTrip(value, comparesJSON: false) }
            expectRoundTrip(["a": values[0], "b": values[1]], comparesJSON: false)
        }
        ends(Int.self)
        ends(Int8.self)
        ends(Int16.self)
        ends(Int32.self)
        ends(Int64.self)
        ends(Int128.self)
        ends(UInt.self)
        ends(UInt8.self)
        ends(UInt16.self)
        ends(UInt32.self)
        ends(UInt64.self)
        ends(UInt128.self)
    }

    @Test func `the bits of floating-point numbers, payloads of NaN included`() throws {
        let bits: [UInt64] = [
            0, 1 << 63, 0x7FF0_0000_0000_0000, 0xFFF8_0000_0000_1234, 1, 0x3FF1_2345_6789_ABCD,
        ]
        for value in bits.map(Double.init(bitPattern:)) {
            let bytes = try BinaryEncoder().encode([["x": value]])
            let found = try BinaryDecoder().decode([[String: Double]].self, from: bytes)
            #expect(found[0]["x"]?.bitPattern == value.bitPattern)
        }
        let run = try BinaryEncoder().encode(bits.map(Double.init(bitPattern:)))
        let found = try BinaryDecoder().decode([Double].self, from: run)
        #expect(found.map(\.bitPattern) == bits)
        let float = Float(bitPattern: 0x7FC0_1234)
        let one = try BinaryDecoder().decode(Float.self, from: BinaryEncoder().encode(float))
        #expect(one.bitPattern == float.bitPattern)
    }

    @Test func `strings of all lengths and scripts`() {
        for count in [0, 1, 15, 16, 31, 32, 127, 128, 20_000] {
            expectRoundTrip(String(repeating: "x", count: count))
            expectRoundTrip(["é" + String(repeating: "雨", count: count)])
        }
    }

    @Test func `runs of numbers, also those that turn out to be none`() {
        expectRoundTrip([Int]())
        expectRoundTrip([UInt8](0...255))
        expectRoundTrip((0..<300).map { Int32($0 * $0) })
        expectRoundTrip([true, false, true])
        expectRoundTrip((0..<300).map { Float($0) })
        expectRoundTrip([[1, 2], [], [3]])
        expectRoundTrip(Mixed(numbers: [1, 2, 3], text: "end"))
    }

    @Test func `a super class, its container asked for first or last`() throws {
        let value = Derived(base: 1, own: "x", isSuperFirst: false)
        for isSuperFirst in [true, false] {
            value.isSuperFirst = isSuperFirst
            let bytes = try BinaryEncoder().encode(value)
            let found = try BinaryDecoder().decode(Derived.self, from: bytes)
            #expect(found.base == 1 && found.own == "x")
        }
    }

    @Test func `a class that shares the encoder with its super class`() throws {
        let value = Sharing(base: 1, own: "x")
        for found in [
            try BinaryDecoder().decode(Sharing.self, from: BinaryEncoder().encode(value)),
            try BinaryDecoder().decode([Sharing].self, from: BinaryEncoder().encode([value]))[0],
        ] {
            #expect(found.base == 1 && found.own == "x")
        }
    }

    @Test func `keys that are made at run time, one of them twice`() throws {
        let value = AtRunTime(members: [("b", 1), ("a", 2), ("b", 3), ("super", 4)])
        let bytes = try BinaryEncoder().encode([value, value])
        let found = try BinaryDecoder().decode([[String: Int]].self, from: bytes)
        #expect(found == [["a": 2, "b": 3, "super": 4], ["a": 2, "b": 3, "super": 4]])
    }

    @Test func `containers that are filled out of order or nested by hand`() {
        expectRoundTrip(OutOfOrder(a: [1, 2], b: ["x": 3], c: 4))
        expectRoundTrip([OutOfOrder(a: [], b: [:], c: 0), OutOfOrder(a: [1], b: ["y": 1], c: 2)])
    }

    @Test func `one that leaves out the parts whose errors it has caught`() throws {
        for value in [Forgiving(isTooDeep: false), Forgiving(isTooDeep: true)] {
            let bytes = try BinaryEncoder().encode([value, value])
            let text = #"{"before":1,"list":[2,3],"after":"after"}"#
            #expect("\(try BinaryValue.values(of: bytes))" == "[[\(text),\(text)]]")
        }
    }

    @Test func `many shapes, and more members than a byte can count`() {
        for count in [63, 64, 65, 200] {
            let values = (0..<count).map { Sparse(present: $0) }
            expectRoundTrip(values)
        }
        let many = Dictionary(uniqueKeysWithValues: (0..<1_000).map { ("key-\($0)", $0) })
        expectRoundTrip(many)
        expectRoundTrip([many: many])
    }
}

/// An array whose first elements are numbers and whose last is text.
struct Mixed: Codable, Equatable {
    var numbers: [Int]
    var text: String

    init(numbers: [Int], text: String) { (self.numbers, self.text) = (numbers, text) }

    init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        numbers = []
        while container.currentIndex + 1 < container.count ?? 0 {
            numbers.append(try container.decode(Int.self))
        }
        text = try container.decode(String.self)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        for number in numbers { try container.encode(number) }
        try container.encode(text)
    }
}

class Base: Codable {
    var base: Int
    init(base: Int) { self.base = base }
}

final class Derived: Base {
    enum Keys: String, CodingKey { case own, isSuperFirst }
    var own: String
    var isSuperFirst: Bool

    init(base: Int, own: String, isSuperFirst: Bool) {
        (self.own, self.isSuperFirst) = (own, isSuperFirst)
        super.init(base: base)
    }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Keys.self)
        own = try container.decode(String.self, forKey: .own)
        isSuperFirst = try container.decode(Bool.self, forKey: .isSuperFirst)
        try super.init(from: container.superDecoder())
    }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        if isSuperFirst { try super.encode(to: container.superEncoder()) }
        try container.encode(own, forKey: .own)
        try container.encode(isSuperFirst, forKey: .isSuperFirst)
        if !isSuperFirst { try super.encode(to: container.superEncoder()) }
    }
}

final class Sharing: Base {
    enum Keys: String, CodingKey { case own }
    var own: String

    init(base: Int, own: String) {
        self.own = own
        super.init(base: base)
    }

    required init(from decoder: any Decoder) throws {
        own = try decoder.container(keyedBy: Keys.self).decode(String.self, forKey: .own)
        try super.init(from: decoder)
    }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(own, forKey: .own)
        try super.encode(to: encoder)
    }
}

struct AtRunTime: Encodable {
    var members: [(String, Int)]

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Name.self)
        for (name, value) in members {
            try container.encode(value, forKey: Name(stringValue: name))
        }
    }
}

/// A value that opens all its containers before it fills any, and writes one key twice.
struct OutOfOrder: Codable, Equatable {
    enum CodingKeys: String, CodingKey { case a, b, c }
    var a: [Int]
    var b: [String: Int]
    var c: Int

    init(a: [Int], b: [String: Int], c: Int) { (self.a, self.b, self.c) = (a, b, c) }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        var array = container.nestedUnkeyedContainer(forKey: .a)
        var map = container.nestedContainer(keyedBy: Name.self, forKey: .b)
        try container.encode(-1, forKey: .c)
        for (name, value) in b { try map.encode(value, forKey: Name(stringValue: name)) }
        for element in a { try array.encode(element) }
        try container.encode(c, forKey: .c)
    }
}

struct Name: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// A value that writes other members for each number.
struct Sparse: Codable, Equatable {
    enum CodingKeys: String, CodingKey, CaseIterable { case a, b, c, d, e, f, g, h, rest }
    var present: Int

    init(present: Int) { self.present = present }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        present = 0
        for (bit, key) in CodingKeys.allCases.prefix(8).enumerated() where container.contains(key) {
            present |= try container.decode(Int.self, forKey: key) == bit ? 1 << bit : 0
        }
        #expect(container.allKeys.count == present.nonzeroBitCount + 1)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        for (bit, key) in CodingKeys.allCases.prefix(8).enumerated() where present >> bit & 1 == 1 {
            try container.encode(bit, forKey: key)
        }
        try container.encode([present], forKey: .rest)
    }
}

/// Leaves out what can't be encoded.
private struct Forgiving: Encodable {
    enum CodingKeys: CodingKey { case before, part, list, after }

    struct Broken: Encodable {
        struct Failure: Error {}
        let isTooDeep: Bool

        func encode(to encoder: any Encoder) throws {
            var container = encoder.unkeyedContainer()
            try container.encode("half")
            if !isTooDeep { throw Failure() }
            // Without end.
            try container.encode(self)
        }
    }

    let isTooDeep: Bool

    func encode(to encoder: any Encoder) throws {
        let broken = Broken(isTooDeep: isTooDeep)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(1, forKey: .before)
        try? container.encode(broken, forKey: .part)
        var list = container.nestedUnkeyedContainer(forKey: .list)
        try list.encode(2)
        try? list.encode(broken)
        try list.encode(3)
        try container.encode("after", forKey: .after)
        try? container.encode(broken, forKey: .after)
    }
}
