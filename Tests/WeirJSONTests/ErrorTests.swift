import Testing
import WeirJSON

private struct Wide: Decodable, Equatable {
    var values: [String: Int]
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: AnyKey.self)
        values = [:]
        for key in container.allKeys.reversed() {
            values[key.stringValue] = try container.decode(Int.self, forKey: key)
        }
    }
}

private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// Keeps its decoder for longer than it may.
private struct Keeper: Decodable {
    let decoder: any Decoder
    init(from decoder: any Decoder) throws { self.decoder = decoder }
}

/// Takes the first type that fits, as much code does it, by the error that Codable documents.
private struct Lenient: Decodable {
    var text: String
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            text = try container.decode(String.self)
        } catch DecodingError.typeMismatch {
            text = "\(try container.decode(Int.self))"
        }
    }
}

private struct Order: Decodable {
    struct Line: Decodable { var amount: Int }
    enum Kind: String, Decodable { case a, b }
    var lines: [Line]?
    var kind: Kind?
}

@Suite struct `A refused document` {
    @Test(
        arguments: [
            (
                #"{"lines":[{"amount":1},{"amount":"x"}]}"#, JSONError.Code.typeMismatch, 33,
                ["lines", "[1]", "amount"]
            ),
            (#"{"lines":[{"amount":1},{}]}"#, .missingKey, 23, ["lines", "[1]"]),
            (#"{"lines":[{"amount":null}]}"#, .missingValue, 20, ["lines", "[0]", "amount"]),
            (#"{"lines":[{"amount":1.5}]}"#, .numberOutOfRange, 20, ["lines", "[0]", "amount"]),
            (#"{"lines":{}}"#, .typeMismatch, 9, ["lines"]),
            (#"{"kind":"c"}"#, .dataCorrupted, nil, ["kind"]),
            (#"{"lines":[}"#, .invalidSyntax, 10, []),
            (#"{} x"#, .trailingBytes, 3, []),
            ("{\"\u{1}\":1}", .invalidSyntax, 2, []),
            (#"{"a":"\ud800"}"#, .invalidSyntax, 12, []),
        ] as [(String, JSONError.Code, Int?, [String])])
    func `says what is wrong and where`(
        _ text: String, _ code: JSONError.Code, _ offset: Int?, _ path: [String]
    ) {
        let error = #expect(throws: JSONError.self) {
            try JSONEventDecoder().decode(Order.self, from: text)
        }
        #expect(error?.code == code)
        #expect(error?.byteOffset == offset)
        #expect(error?.codingPath == path)
        #expect(error?.description.contains(code.description) == true)
    }

    @Test func `is refused for bytes that are not UTF-8 by offset`() {
        let error = #expect(throws: JSONError.self) {
            try JSONEventDecoder().decode(String.self, from: [0x22, 0x61, 0xFF, 0x22])
        }
        #expect(error?.code == .invalidUTF8)
        #expect(error?.byteOffset == 2)
    }

    @Test func `is one that goes past a limit`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try JSONEventDecoder().decode(Tree.self, from: nested(128))
        let deep = #expect(throws: JSONError.self) {
            try JSONEventDecoder().decode(Tree.self, from: nested(129))
        }
        #expect(deep?.code == .tooDeep)
        #expect(throws: JSONError.self) {
            try JSONEventDecoder().decode(Tree.self, from: String(repeating: "[", count: 1 << 20))
        }
        let small = JSONEventDecoder(limits: .init(maximumDepth: 2, maximumBytes: 5))
        _ = try small.decode(Tree.self, from: "[[1]]")
        let large = #expect(throws: JSONError.self) { try small.decode(Tree.self, from: "[[12]]") }
        #expect(large?.code == .tooLarge)
        let lazy = #expect(throws: JSONError.self) {
            try small.decode(Tree.self, from: sequence(first: 0x20) { _ in 0x20 as UInt8 })
        }
        #expect(lazy?.code == .tooLarge)
    }

    @Test func `can be told apart inside a type by DecodingError`() throws {
        #expect(try JSONEventDecoder().decode([Lenient].self, from: "[\"a\",1]")[1].text == "1")
    }
}

@Suite struct `The decoder` {
    @Test func `finds the members of a wide object in any order`() throws {
        for count in [3, 20, 30, 100, 20_000] {
            let members = (0..<count).map { "\"key\($0)\":\($0)" }
            let text = "{" + members.joined(separator: ",") + "}"
            let wide = try JSONEventDecoder().decode(Wide.self, from: text)
            #expect(wide.values.count == count)
            #expect(wide.values["key\(count - 1)"] == count - 1)
            #expect(try JSONEventDecoder().decode([String: Int].self, from: text) == wide.values)
        }
    }

    @Test func `takes the first of equal keys, however many`() throws {
        for count in [2, 5, 30, 40, 1_000] {
            let more = (0..<count).map { "\"m\($0)\":0,\"m\($0)\":1" }.joined(separator: ",")
            let text = "{\"k\":1,\(more),\"k\":2}"
            let values = try JSONEventDecoder().decode([String: Int].self, from: text)
            #expect(values["k"] == 1)
            #expect(values.values.reduce(0, +) == 1)
            #expect(values.count == count + 1)
        }
    }

    @Test func `leaves nothing to read in a decoder that outlives the call`() throws {
        let kept = try JSONEventDecoder().decode(Keeper.self, from: "{\"a\":[1]}").decoder
        #expect(throws: DecodingError.self) { try kept.container(keyedBy: AnyKey.self) }
        _ = try JSONEventDecoder().decode(Tree.self, from: "{\"b\":[2]}")
        #expect(throws: DecodingError.self) { try kept.container(keyedBy: AnyKey.self) }
        #expect(try kept.singleValueContainer().decodeNil())
        #expect(kept.codingPath.isEmpty)
    }

    @Test func `decodes within a decoder, and on many threads`() async throws {
        struct Outer: Decodable {
            var inner: [Int]
            init(from decoder: any Decoder) throws {
                let text = try decoder.singleValueContainer().decode(String.self)
                inner = try JSONEventDecoder().decode([Int].self, from: text)
            }
        }
        let decoded = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var sum = 0
                    for index in 0..<500 {
                        let text = "[\"[\(index)]\",\"[1,2]\"]"
                        let values = try JSONEventDecoder().decode([Outer].self, from: text)
                        sum += values[0].inner[0] + values[1].inner.count
                    }
                    return sum
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(decoded == 8 * (124_750 + 1_000))
    }
}
