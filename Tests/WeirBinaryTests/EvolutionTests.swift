import Testing

@testable import WeirBinary

/// What a document of one type gives as another.
private func convert<Old: Encodable, New: Decodable>(_ old: Old, to new: New.Type) throws -> New {
    try BinaryDecoder().decode(new, from: BinaryEncoder().encode(old))
}

private struct Old: Codable {
    var id = 7
    var name = "n"
    var amount = 2.5
    var inner = Inner()

    struct Inner: Codable { var a = [1, 2, 3] }
}

@Suite struct `A type that has changed decodes what was written before` {}

extension `A type that has changed decodes what was written before` {
    @Test func `an optional field was added`() throws {
        struct New: Codable {
            var added: String?
            var id: Int
            var alsoAdded: [Int]?
        }
        let new = try convert(Old(), to: New.self)
        #expect(new.added == nil && new.id == 7 && new.alsoAdded == nil)
    }

    @Test func `a field with a default was added`() throws {
        struct New: Decodable {
            enum CodingKeys: CodingKey { case id, limit }
            let id: Int
            let limit: Int

            init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                id = try container.decode(Int.self, forKey: .id)
                limit = try container.decodeIfPresent(Int.self, forKey: .limit) ?? 100
            }
        }
        let new = try convert(Old(), to: New.self)
        #expect(new.id == 7 && new.limit == 100)
    }

    @Test func `fields were removed and reordered`() throws {
        struct New: Codable {
            var inner: Old.Inner
            var amount: Double
            var id: Int
        }
        for new in try convert([Old(), Old(id: 8)], to: [New].self) {
            #expect(new.inner.a == [1, 2, 3] && new.amount == 2.5)
        }
        #expect(try convert([Old(), Old(id: 8)], to: [New].self).map(\.id) == [7, 8])
    }

    @Test func `a renamed field is an error that names it`() throws {
        struct New: Codable {
            struct Inner: Codable { var b: [Int] }
            var inner: [Inner]
        }
        struct Outer: Codable { var inner = [Old.Inner()] }
        let error = #expect(throws: BinaryCodingError.self) {
            try convert(Outer(), to: New.self)
        }
        #expect(error?.code == .missingKey)
        #expect(error?.codingPath == ["inner", "[0]"])
        #expect(error?.message.contains("\"b\"") == true)
        #expect(error?.byteOffset != nil)
    }

    @Test func `a number was made wider, a Double, or optional`() throws {
        #expect(try convert([UInt8(3), 255], to: [Int].self) == [3, 255])
        #expect(try convert([3, 255], to: [UInt8].self) == [3, 255])
        #expect(try convert([1, -2], to: [Double].self) == [1, -2])
        #expect(try convert([1, -2], to: [Int?].self) == [1, -2])
        #expect(try convert(Float(0.5), to: Double.self) == 0.5)
        #expect(try convert(0.5, to: Float.self) == 0.5)
    }

    @Test func `a number that does not fit is an error with its place`() throws {
        for (value, code) in [(300, BinaryCodingError.Code.numberOutOfRange)] {
            let error = #expect(throws: BinaryCodingError.self) {
                try convert(["a": [1, value]], to: [String: [UInt8]].self)
            }
            #expect(error?.code == code && error?.codingPath == ["a", "[1]"])
        }
        #expect(throws: BinaryCodingError.self) { try convert(-1, to: UInt64.self) }
        #expect(throws: BinaryCodingError.self) { try convert(UInt64.max, to: Int64.self) }
        #expect(throws: BinaryCodingError.self) { try convert(Int128.max, to: Int.self) }
        #expect(throws: BinaryCodingError.self) { try convert(0.1, to: Float.self) }
        #expect(throws: BinaryCodingError.self) { try convert(0.5, to: Int.self) }
        #expect(throws: BinaryCodingError.self) { try convert("1", to: Int.self) }
    }

    @Test func `optional members that come and go keep one shape`() throws {
        struct Item: Codable { var a: Int?, b: Int?, c: Int?, d: Int? }
        let items = (0..<16).map { bits in
            Item(
                a: bits & 1 > 0 ? 1 : nil, b: bits & 2 > 0 ? 2 : nil, c: bits & 4 > 0 ? 3 : nil,
                d: bits & 8 > 0 ? 4 : nil)
        }
        let bytes = try BinaryEncoder().encode(items)
        // Header 4, table of one shape 11, count 1, array 2, and 5 bytes for each item.
        #expect(bytes.count == 4 + 11 + 1 + 2 + 16 * 5)
        struct Names: Decodable {
            enum CodingKeys: CodingKey, CaseIterable { case a, b, c, d }
            let names: [String]

            init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                names = container.allKeys.map(\.stringValue)
                for key in CodingKeys.allCases {
                    #expect(container.contains(key) == names.contains(key.stringValue))
                }
            }
        }
        let names = try BinaryDecoder().decode([Names].self, from: bytes).map(\.names)
        #expect(names[0] == [] && names[5] == ["a", "c"] && names[15] == ["a", "b", "c", "d"])
    }
}
