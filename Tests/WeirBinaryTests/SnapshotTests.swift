import Testing

@testable import WeirBinary

private struct Entry: Codable, Equatable {
    var key: String
    var count: Int
    var sum: Double
}

private struct Failing: Encodable {
    struct Reason: Error {}
    enum CodingKeys: CodingKey { case a }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(1, forKey: .a)
        throw Reason()
    }
}

@Suite struct `A snapshot of many values` {
    @Test func `gives them back in order and has their names once`() throws {
        let entries = (0..<5_000).map { Entry(key: "key-\($0)", count: $0, sum: Double($0) / 2) }
        var writer = BinaryWriter()
        for entry in entries { try writer.append(entry) }
        #expect(writer.count == 5_000)
        let bytes = writer.finish()
        #expect(writer.count == 0 && writer.byteCount == 0)
        let name = Array("count".utf8)
        let places = bytes.indices.dropLast(5).filter { bytes[$0..<$0 + 5].elementsEqual(name) }
        #expect(places.count == 1)

        var reader = try BinaryReader(bytes)
        #expect(reader.count == 5_000)
        for entry in entries { #expect(try reader.next(Entry.self) == entry) }
        #expect(try reader.next(Entry.self) == nil)
    }

    @Test func `holds values of several types`() throws {
        var writer = BinaryWriter()
        try writer.append("header")
        try writer.append(Entry(key: "a", count: 1, sum: 2))
        try writer.append([1, 2, 3])
        var reader = try BinaryReader(writer.finish())
        #expect(try reader.next(String.self) == "header")
        #expect(try reader.next(Entry.self) == Entry(key: "a", count: 1, sum: 2))
        #expect(try reader.next([Int].self) == [1, 2, 3])
        #expect(try reader.next(Int.self) == nil)
    }

    @Test func `is as it was after a value that failed, on both sides`() throws {
        var writer = BinaryWriter()
        try writer.append(1)
        let error = #expect(throws: BinaryCodingError.self) { try writer.append(Failing()) }
        #expect(error?.code == .encodingFailed && error?.cause is Failing.Reason)
        try writer.append(2)
        var reader = try BinaryReader(writer.finish())
        #expect(reader.count == 2)
        #expect(throws: BinaryCodingError.self) { try reader.next(String.self) }
        #expect(try reader.next(Int.self) == 2)
    }

    @Test func `throws again and again where its bytes are cut off`() throws {
        var writer = BinaryWriter()
        try writer.append("one")
        try writer.append("two")
        var reader = try BinaryReader(writer.finish().dropLast())
        #expect(try reader.next(String.self) == "one")
        for _ in 0..<2 {
            #expect(throws: BinaryCodingError.self) { try reader.next(String.self) }
        }
    }

    @Test func `is printed without its types`() throws {
        struct Value: Codable {
            var name = "a \"b\"\n", numbers = [1, -2], real = 0.5, none: Int?, map = ["k": true]
        }
        var writer = BinaryWriter()
        try writer.append(Value())
        try writer.append(UInt128.max)
        let text = try BinaryValue.values(of: writer.finish()).map(\.description)
        #expect(
            text == [
                #"{"name":"a \"b\"\n","numbers":[1,-2],"real":0.5,"map":{"k":true}}"#,
                "340282366920938463463374607431768211455",
            ])
    }

    @Test func `a container that outlives its call does nothing`() throws {
        final class Kept: Codable {
            // Safety: this test alone uses it.
            nonisolated(unsafe) static var encoder: (any Encoder)?
            // Safety: this test alone uses it.
            nonisolated(unsafe) static var decoder: (any Decoder)?
            init() {}
            init(from decoder: any Decoder) throws { Self.decoder = decoder }
            func encode(to encoder: any Encoder) throws {
                Self.encoder = encoder
                var container = encoder.singleValueContainer()
                try container.encode(1)
            }
        }
        let bytes = try BinaryEncoder().encode(Kept())
        _ = try BinaryDecoder().decode(Kept.self, from: bytes)
        var container = Kept.encoder?.singleValueContainer()
        try container?.encode("late")
        #expect(throws: (any Error).self) {
            _ = try Kept.decoder?.singleValueContainer().decode(Int.self)
        }
        #expect(try BinaryEncoder().encode(Kept()) == bytes)
    }
}

@Suite struct `The example of the format's page` {
    private struct Example: Codable, Equatable {
        var id = 300, tags = ["a"], note: String?
    }

    @Test func `is what the encoder writes`() throws {
        let expected: [UInt8] = [
            0x57, 0x42, 0x01, 0x00, 0x0F, 0x01, 0x03, 0x02, 0x69, 0x64, 0x04, 0x74, 0x61, 0x67,
            0x73, 0x04, 0x6E, 0x6F, 0x74, 0x65, 0x01, 0x80, 0x04, 0xAC, 0x02, 0x0B, 0x01, 0x21,
            0x61, 0x03,
        ]
        #expect(try BinaryEncoder().encode(Example()) == expected)
        #expect(try BinaryDecoder().decode(Example.self, from: expected) == Example())
    }
}
