import Testing
import WeirJSON

/// A key of one byte, whose name is not that byte's alone.
private struct ByteKey: CodingKey {
    @TaskLocal static var prefix = "a"
    var byte: UInt8
    var stringValue: String { Self.prefix + String(byte) }
    var intValue: Int? { nil }
    init(byte: UInt8) { self.byte = byte }
    init?(stringValue: String) { nil }
    init?(intValue: Int) { nil }
}

private struct Bytes: Decodable {
    var sum = 0
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: ByteKey.self)
        for byte in UInt8(0)..<3 {
            sum += try container.decode(Int.self, forKey: ByteKey(byte: byte))
        }
    }
}

private struct Names: Codable, Equatable {
    enum CodingKeys: String, CodingKey {
        case short = "s"
        case seven = "seven77"
        case eight = "currency"
        case nine = "currency9"
        case sixteen = "sixteen_bytes_ab"
        case long = "a_name_of_more_than_sixteen_bytes"
        case accented = "né"
        case empty = ""
    }
    var short = 1
    var seven = "7"
    var eight = true
    var nine = 9.5
    var sixteen = "0123456789abcde"
    var long = "0123456789abcdef"
    var accented = "ü"
    var empty: Int?
}

@Suite struct `A key` {
    @Test func `is asked for its name each time if it is no enum`() throws {
        for _ in 0..<3 {
            for prefix in ["a", "b"] {
                let bytes = try ByteKey.$prefix.withValue(prefix) {
                    try JSONEventDecoder().decode(
                        Bytes.self, from: #"{"a0":1,"b0":10,"a1":2,"b1":20,"a2":4,"b2":40}"#)
                }
                #expect(bytes.sum == (prefix == "a" ? 7 : 70))
            }
        }
    }

    @Test func `of any length is found in any order`() throws {
        var names = Names()
        for round in 0..<40 {
            names.short = round
            names.empty = round.isMultiple(of: 3) ? nil : round
            let text = try JSONEventEncoder(sortedKeys: round.isMultiple(of: 2)).encode(names)
            #expect(try JSONEventDecoder().decode(Names.self, from: text) == names)
        }
    }

    @Test(arguments: [1, 6, 7, 8, 9, 12, 15, 16, 17, 24])
    func `is not taken for the one of the document before`(_ count: Int) throws {
        let name = Array("abcdefghijklmnopqrstuvwxyz".utf8.prefix(count))
        func document(_ name: [UInt8], _ after: String = "\":1}") -> [UInt8] {
            Array("{\"".utf8) + name + Array(after.utf8)
        }
        func keys(_ bytes: [UInt8]) throws -> [String] {
            try JSONEventDecoder().decode([String: Int].self, from: bytes).keys.sorted()
        }
        func text(_ name: [UInt8]) -> String { String(decoding: name, as: UTF8.self) }
        for index in 0..<count {
            #expect(try keys(document(name)) == [text(name)])
            var other = name
            other[index] = UInt8(ascii: "Z")
            #expect(try keys(document(other)) == [text(other)])
            #expect(try keys(document(name)) == [text(name)])
            #expect(try keys(document(name + other)) == [text(name + other)])
            #expect(try keys(document(name, "\" : 1}")) == [text(name)])
            for bad: UInt8 in [0, 1, 0x1F, 0x22, 0x80, 0xFF] {
                #expect(try keys(document(name)) == [text(name)])
                other[index] = bad
                #expect(throws: JSONError.self) { try keys(document(other)) }
            }
            #expect(try keys(document(name)) == [text(name)])
            let cut = Array(document(name).prefix(2 + index))
            #expect(throws: JSONError.self) { try keys(cut) }
        }
    }

    @Test func `and its text are the same at every length`() throws {
        for count in 0...40 {
            let text = String("0123456789abcdefghijklmnopqrstuvwxyzABCDEF".prefix(count))
            let decoded = try JSONEventDecoder().decode(
                [String: String].self, from: "{\"\(text)\":\"\(text)\"}")
            #expect(decoded == [text: text])
            #expect(decoded[text]?.utf8.count == count)
            #expect(decoded[text].map { $0 + "x" } == text + "x")
        }
        for count in 0...20 {
            struct Holder: Codable { var text: String }
            let text = String("0123456789abcdefghij".prefix(count))
            let bytes = try JSONEventEncoder().encode(Holder(text: text))
            let holder = try JSONEventDecoder().decode(Holder.self, from: bytes)
            #expect(holder.text == text)
            #expect(holder.text.hashValue == text.hashValue)
            #expect(Array(holder.text.utf8) == Array(text.utf8))
        }
    }
}
