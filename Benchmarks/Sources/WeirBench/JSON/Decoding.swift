import Foundation
import Weir

extension Benchmark {
    static var flatJSON: Benchmark {
        Benchmark(
            id: "N4-flat", group: .json, title: "JSON decoding of a flat event of 150 bytes",
            workload: """
                64 documents of exactly 150 bytes (JSONDocuments.flat), one after the other, each \
                decoded into FlatEvent; the sink sums id, at and user.utf8.count.
                """,
            metric: .wallTime, events: 2_000_000,
            sides: [
                Side(
                    name: "Weir, JSONEventDecoder", isWeir: true,
                    run: { try await JSONEventDecoderSide.flat($0) }),
                Side(
                    name: "JSONDecoder", share: 0.05, bar: .faster(10),
                    run: { try await JSONDecoderPeer.flat($0) }),
            ],
            expectedChecksum: { JSONDocuments.flatChecksum($0) })
    }

    static var nestedJSON: Benchmark {
        Benchmark(
            id: "N4-nested", group: .json, title: "JSON decoding of a nested event of 200 bytes",
            workload: """
                64 documents of exactly 200 bytes (JSONDocuments.nested), each decoded into \
                NestedEvent: two objects and an array of two objects; the sink sums id, \
                user.name.utf8.count and the items' counts.
                """,
            metric: .wallTime, events: 2_000_000,
            sides: [
                Side(
                    name: "Weir, JSONEventDecoder", isWeir: true,
                    run: { try await JSONEventDecoderSide.nested($0) }),
                Side(
                    name: "JSONDecoder", share: 0.025, bar: .faster(10),
                    run: { try await JSONDecoderPeer.nested($0) }),
            ],
            expectedChecksum: { JSONDocuments.nestedChecksum($0) })
    }
}

struct FlatEvent: Codable, Sendable {
    var id: Int
    var user: String
    var kind: String
    var amount: Double
    var currency: String
    var at: Int
    var isNew: Bool
    var device: String

    var value: Int64 { Int64(id + at + user.utf8.count) }
}

struct NestedEvent: Codable, Sendable {
    struct User: Codable, Sendable {
        var id: Int
        var name: String
    }

    struct Payment: Codable, Sendable {
        var amount: Double
        var currency: String
        var items: [Item]
    }

    struct Item: Codable, Sendable {
        var sku: String
        var count: Int
    }

    var id: Int
    var at: Int
    var user: User
    var payment: Payment

    var value: Int64 {
        Int64(payment.items.reduce(id + user.name.utf8.count) { $0 + $1.count })
    }
}

/// The documents of N4; `data` and `bytes` hold the same.
struct JSONDocuments: Sendable {
    let bytes: [[UInt8]]
    let data: [Data]
    private let values: [Int64]

    private init(length: Int, _ make: (Int) -> (before: String, after: String, value: Int64)) {
        let documents = (0..<64).map { index in
            let (before, after, value) = make(index)
            let padding = length - before.utf8.count - after.utf8.count
            precondition(padding >= 1, "A document of N4 does not fit its length")
            return (before + String(repeating: "x", count: padding) + after, value)
        }
        bytes = documents.map { Array($0.0.utf8) }
        data = documents.map { Data($0.0.utf8) }
        values = documents.map(\.1)
    }

    /// A flat object of eight fields; the last is as long as it takes to make 150 bytes.
    static let flat = JSONDocuments(length: 150) { index in
        let id = 100_000 + index * 7_919
        let at = 1_700_000_000_000 + index * 1_237
        let before = """
            {"id":\(id),"user":"user-\(1_000 + index)","kind":"purchase",\
            "amount":\(100 + index).25,"currency":"EUR","at":\(at),\
            "isNew":\(index.isMultiple(of: 2)),"device":"
            """
        return (before, "\"}", Int64(id + at + 9))
    }

    /// Two objects and an array in an object; the last string pads it to 200 bytes.
    static let nested = JSONDocuments(length: 200) { index in
        let id = 100_000 + index * 7_919
        let at = 1_700_000_000_000 + index * 1_237
        let before = """
            {"id":\(id),"at":\(at),"user":{"id":\(5_000 + index),"name":"name-\(1_000 + index)"},\
            "payment":{"amount":\(100 + index).25,"currency":"EUR",\
            "items":[{"sku":"a-\(100 + index)","count":\(index % 10)},{"count":2,"sku":"
            """
        return (before, "\"}]}}", Int64(id + 9 + index % 10 + 2))
    }

    static func flatChecksum(_ events: Int) -> UInt64 { flat.checksum(events) }

    static func nestedChecksum(_ events: Int) -> UInt64 { nested.checksum(events) }

    private func checksum(_ events: Int) -> UInt64 {
        var sum: Int64 = 0
        for index in 0..<events { sum &+= values[index & 63] }
        return UInt64(bitPattern: sum)
    }
}

private enum JSONEventDecoderSide {
    @concurrent
    static func flat(_ count: Int) async throws -> Sample {
        try decode(FlatEvent.self, JSONDocuments.flat.bytes, count) { $0.value }
    }

    @concurrent
    static func nested(_ count: Int) async throws -> Sample {
        try decode(NestedEvent.self, JSONDocuments.nested.bytes, count) { $0.value }
    }

    @inline(__always)
    private static func decode<Element: Decodable>(
        _ type: Element.Type, _ documents: [[UInt8]], _ count: Int, _ value: (Element) -> Int64
    ) throws -> Sample {
        let watch = Stopwatch()
        let decoder = JSONEventDecoder()
        var tally = Tally()
        for index in 0..<count {
            tally.add(value(try decoder.decode(type, from: documents[index & 63])))
        }
        return watch.sample(tally)
    }
}

private enum JSONDecoderPeer {
    @concurrent
    static func flat(_ count: Int) async throws -> Sample {
        try decode(FlatEvent.self, JSONDocuments.flat.data, count) { $0.value }
    }

    @concurrent
    static func nested(_ count: Int) async throws -> Sample {
        try decode(NestedEvent.self, JSONDocuments.nested.data, count) { $0.value }
    }

    @inline(__always)
    private static func decode<Element: Decodable>(
        _ type: Element.Type, _ documents: [Data], _ count: Int, _ value: (Element) -> Int64
    ) throws -> Sample {
        let watch = Stopwatch()
        let decoder = JSONDecoder()
        var tally = Tally()
        for index in 0..<count {
            tally.add(value(try decoder.decode(type, from: documents[index & 63])))
        }
        return watch.sample(tally)
    }
}
