import Foundation
import Testing
import WeirJSON

private class Animal: Codable {
    var name: String
    init(name: String) { self.name = name }
}

private final class Dog: Animal {
    enum CodingKeys: String, CodingKey { case tricks }
    var tricks: [String]
    let isFlat: Bool

    init(name: String, tricks: [String], isFlat: Bool) {
        self.tricks = tricks
        self.isFlat = isFlat
        super.init(name: name)
    }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        tricks = try container.decode([String].self, forKey: .tricks)
        isFlat = try decoder.container(keyedBy: NameKey.self).contains(.name)
        try super.init(from: isFlat ? decoder : container.superDecoder())
    }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try super.encode(to: isFlat ? encoder : container.superEncoder())
        try container.encode(tricks, forKey: .tricks)
    }
}

private enum NameKey: String, CodingKey { case name }

/// Fills two nested containers in turns and a super encoder last.
private struct Interleaved: Encodable {
    enum CodingKeys: String, CodingKey { case left, right, after }
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        var left = container.nestedUnkeyedContainer(forKey: .left)
        var right = container.nestedContainer(keyedBy: NameKey.self, forKey: .right)
        try left.encode(1)
        try right.encode("r", forKey: .name)
        try left.encode(2)
        let later = container.superEncoder()
        try container.encode(true, forKey: .after)
        try "last".encode(to: later)
    }
}

private struct Nothing: Codable, Equatable {
    init() {}
    init(from decoder: any Decoder) throws {}
    func encode(to encoder: any Encoder) throws {}
}

@Suite struct `A value is encoded` {
    private func same<Value: Codable & Equatable>(_ value: Value) throws {
        for sortedKeys in [false, true] {
            let bytes = try JSONEventEncoder(sortedKeys: sortedKeys).encode(value)
            #expect(ours(Value.self, bytes) == .value(value))
            #expect(reference(Value.self, bytes) == .value(value))
        }
    }

    @Test func `so that both decoders read it back`() throws {
        try same(
            Event(
                id: 1, card: "49\"29\\\u{1}é😀\n", amount: 12.5, kind: .refund,
                channel: .desk(3),
                places: [.init(city: nil, x: 0.1, y: 1e-300), .init(city: "", x: 2, y: -0.0)],
                counts: [1: 2, -3: 4], at: Date(timeIntervalSinceReferenceDate: 1.5),
                raw: Data([1, 2, 255]), price: Decimal(string: "1.10"), token: UUID(),
                nested: [[], [true, nil]]))
        try same(["a/b": [1, 2], "": []])
        try same([
            Double.pi, 0.1, 1e16, 1e15, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 16777217,
            -0.0,
        ])
        try same([Float(0.1), 16777216, 16777218, .leastNonzeroMagnitude])
        try same([Int.min, -1, 0, 9, 10, 99, 100, Int.max])
        try same([UInt64.max, 9_999_999_999_999_999_999, 10_000_000_000_000_000_000])
        try same([Int8.min, Int8.max])
        try same([URL(string: "http://a/b?c=d")])
        try same([Nothing()])
        try same(["a": Nothing()])
        try same([String?.none, "x"])
    }

    @Test func `as the text that is expected`() throws {
        func text(_ value: some Encodable, sortedKeys: Bool = false) throws -> String {
            String(
                decoding: try JSONEventEncoder(sortedKeys: sortedKeys).encode(value),
                as: UTF8.self)
        }
        #expect(try text("a\u{0}\u{1f}\t\"\\/\u{7f}") == #""a\u0000\u001f\t\"\\/\#u{7f}""#)
        #expect(try text([1.0, 1.5, -0.0, 100]) == "[1,1.5,-0,100]")
        #expect(try text(["b": 1, "a": 2, "c": 3], sortedKeys: true) == #"{"a":2,"b":1,"c":3}"#)
        #expect(
            try text(Interleaved())
                == #"{"left":[1,2],"right":{"name":"r"},"super":"last","after":true}"#)
        #expect(try text([Data([1, 2])]) == #"["AQI="]"#)
        #expect(try text(Decimal(string: "1.5")) == "1.5")
        #expect(try text([[Int]](), sortedKeys: true) == "[]")
    }

    @Test(arguments: [true, false]) func `with its superclass`(_ isFlat: Bool) throws {
        let dog = Dog(name: "Bo", tricks: ["sit", "roll"], isFlat: isFlat)
        let bytes = try JSONEventEncoder().encode(dog)
        for copy in [
            try JSONEventDecoder().decode(Dog.self, from: bytes),
            try JSONDecoder().decode(Dog.self, from: Data(bytes)),
        ] {
            #expect(copy.name == "Bo")
            #expect(copy.tricks == dog.tricks)
            #expect(copy.isFlat == isFlat)
        }
    }

    @Test(arguments: [true, false])
    func `without the parts whose errors it has caught, as JSONEncoder has it`(
        _ sortedKeys: Bool
    ) throws {
        let reference = JSONEncoder()
        reference.outputFormatting = .sortedKeys
        let value = ["a": Forgiving(), "b": Forgiving()]
        let bytes = try JSONEventEncoder(sortedKeys: sortedKeys).encode(value)
        let tree = try JSONSerialization.jsonObject(with: Data(bytes))
        #expect(
            try JSONSerialization.data(withJSONObject: tree, options: .sortedKeys)
                == reference.encode(value))
    }

    @Test func `with the last of equal keys`() throws {
        for value in [
            Repeating(keys: ["a", "b", "a"]), Repeating(keys: ["wide64", "b", "wide64"]),
            Repeating(keys: ["c", "c"], isNested: true),
        ] {
            let reference = try JSONDecoder().decode(
                [String: [String: Int]].self, from: JSONEncoder().encode(value))
            let bytes = try JSONEventEncoder().encode(value)
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(
                try JSONEventDecoder().decode([String: [String: Int]].self, from: bytes)
                    == reference, "\(text)")
            for key in Set(value.keys) {
                #expect(
                    text.split(separator: "\"\(key)\"").count == (value.isNested ? 2 : 3), "\(text)"
                )
            }
        }
    }

    @Test func `after what the buffer has`() throws {
        var bytes = Array("x".utf8)
        try JSONEventEncoder().encode([1], into: &bytes)
        try JSONEventEncoder().encode("é", into: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "x[1]\"é\"")
    }

    @Test(arguments: [true, false])
    func `or refused with the path of what JSON cannot say`(_ sortedKeys: Bool) {
        struct Inner: Encodable { var rates: [Double] }
        var bytes = [UInt8](repeating: 1, count: 3)
        let error = #expect(throws: JSONError.self) {
            try JSONEventEncoder(sortedKeys: sortedKeys)
                .encode(["in\"ner": Inner(rates: [1, .infinity])], into: &bytes)
        }
        #expect(error?.code == .dataCorrupted)
        #expect(error?.codingPath == ["in\"ner", "rates", "[1]"])
        #expect(bytes == [1, 1, 1])
        #expect(throws: JSONError.self) { try JSONEventEncoder().encode(Float.nan) }
    }
}

/// Leaves out what can't be encoded.
private struct Forgiving: Encodable {
    enum CodingKeys: CodingKey { case before, ratio, share, part, list, after }

    struct Broken: Encodable {
        func encode(to encoder: any Encoder) throws {
            var container = encoder.unkeyedContainer()
            try container.encode("half")
            try container.encode(["x": Double.nan])
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(1, forKey: .before)
        try? container.encode(Double.nan, forKey: .ratio)
        try? container.encode(Float.infinity, forKey: .share)
        try? container.encode(Broken(), forKey: .part)
        var list = container.nestedUnkeyedContainer(forKey: .list)
        try list.encode(2)
        try? list.encode(Broken())
        try? list.encode(Double.nan)
        try? list.encode([-Float.infinity])
        try list.encode(3)
        try container.encode("after", forKey: .after)
        try? container.encode(Broken(), forKey: .after)
    }
}

/// Encodes its keys in turn with their places, by cases of an enum and by names.
private struct Repeating: Encodable {
    enum Outer: CodingKey { case cases, names }
    enum Cases: String, CodingKey, CaseIterable {
        case a, b, c
        case w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15, w16, w17, w18, w19, w20
        case w21, w22, w23, w24, w25, w26, w27, w28, w29, w30, w31, w32, w33, w34, w35, w36, w37
        case w38, w39, w40, w41, w42, w43, w44, w45, w46, w47, w48, w49, w50, w51, w52, w53, w54
        case w55, w56, w57, w58, w59, w60, w61, w62, w63, wide64
    }
    struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    var keys: [String]
    var isNested = false

    func encode(to encoder: any Encoder) throws {
        var outer = encoder.container(keyedBy: Outer.self)
        var cases = outer.nestedContainer(keyedBy: Cases.self, forKey: .cases)
        for (place, name) in keys.enumerated() {
            if let key = Cases(rawValue: name) { try cases.encode(place, forKey: key) }
        }
        var names = outer.nestedContainer(keyedBy: Name.self, forKey: .names)
        for (place, name) in keys.enumerated() {
            try names.encode(place, forKey: Name(stringValue: name))
        }
        if isNested { try outer.encode(["d": 1], forKey: .cases) }
    }
}
