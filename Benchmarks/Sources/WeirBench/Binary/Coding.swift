import Foundation
import Weir
import WeirBinary

/// The values of N4 and a keyed state, in the binary format and as JSON.
extension Benchmark {
    static var binaryFlatDecoding: Benchmark {
        decoding(
            "B1-flat", "Decoding of a flat event of eight fields", events: 1_000_000,
            """
            The 64 events of N4-flat, one after the other, each decoded from a document of its own \
            into FlatEvent; the sink sums id, at and user.utf8.count.
            """, FlatEvent.self, .flat
        ) { $0.value }
    }

    static var binaryFlatEncoding: Benchmark {
        encoding(
            "B2-flat", "Encoding of a flat event of eight fields", events: 1_000_000,
            "The 64 events of N4-flat, each encoded as a document of its own; the sink counts them.",
            FlatEvent.self, .flat)
    }

    static var binaryNestedDecoding: Benchmark {
        decoding(
            "B1-nested", "Decoding of a nested event", events: 500_000,
            """
            The 64 events of N4-nested, each decoded from a document of its own into NestedEvent; \
            the sink sums id, user.name.utf8.count and the items' counts.
            """, NestedEvent.self, .nested
        ) { $0.value }
    }

    static var binaryNestedEncoding: Benchmark {
        encoding(
            "B2-nested", "Encoding of a nested event", events: 500_000,
            "The 64 events of N4-nested, each encoded as a document of its own, and counted.",
            NestedEvent.self, .nested)
    }

    static var binaryStateDecoding: Benchmark {
        decoding(
            "B3-decode", "Decoding of a keyed state of 1,000 entries", events: 1_000,
            """
            One event is a document of 1,000 entries, each a key of 19 characters and three \
            numbers; the sink counts the documents' entries.
            """, [StateEntry].self, .state
        ) { Int64($0.count) }
    }

    static var binaryStateEncoding: Benchmark {
        encoding(
            "B3-encode", "Encoding of a keyed state of 1,000 entries", events: 1_000,
            "One event is a document of 1,000 entries as in B3-decode; the sink counts them.",
            [StateEntry].self, .state)
    }

    private static func decoding<Value: Codable & Sendable>(
        _ id: String, _ title: String, events: Int, _ workload: String, _ type: Value.Type,
        _ source: CodingSource, _ value: @escaping @Sendable (Value) -> Int64
    ) -> Benchmark {
        Benchmark(
            id: id, group: .binary, title: title, workload: workload, metric: .wallTime,
            events: events,
            sides: [
                Side(name: "Weir, BinaryDecoder", isWeir: true) { count in
                    let documents = try source.values(type).map(BinaryEncoder().encode)
                    let decoder = BinaryDecoder()
                    return try measure(documents, count) {
                        value(try decoder.decode(type, from: $0))
                    }
                },
                Side(name: "Weir, JSONEventDecoder", share: 0.5) { count in
                    let documents = try source.values(type).map {
                        try JSONEventEncoder().encode($0)
                    }
                    let decoder = JSONEventDecoder()
                    return try measure(documents, count) {
                        value(try decoder.decode(type, from: $0))
                    }
                },
                Side(name: "JSONDecoder", share: 0.05, bar: .faster(5)) { count in
                    let documents = try source.values(type).map(JSONEncoder().encode)
                    let decoder = JSONDecoder()
                    return try measure(documents, count) {
                        value(try decoder.decode(type, from: $0))
                    }
                },
            ],
            expectedChecksum: { count in
                let values = (try? source.values(type)) ?? []
                let sum = (0..<count).reduce(Int64(0)) { $0 &+ value(values[$1 % values.count]) }
                return UInt64(bitPattern: sum)
            })
    }

    private static func encoding<Value: Codable & Sendable>(
        _ id: String, _ title: String, events: Int, _ workload: String, _ type: Value.Type,
        _ source: CodingSource
    ) -> Benchmark {
        Benchmark(
            id: id, group: .binary, title: title, workload: workload, metric: .wallTime,
            events: events,
            sides: [
                Side(name: "Weir, BinaryEncoder", isWeir: true) { count in
                    let encoder = BinaryEncoder()
                    return try measure(source.values(type), count) {
                        try encoder.encode($0).isEmpty ? 0 : 1
                    }
                },
                Side(name: "Weir, JSONEventEncoder", share: 0.5) { count in
                    let encoder = JSONEventEncoder()
                    return try measure(source.values(type), count) {
                        try encoder.encode($0).isEmpty ? 0 : 1
                    }
                },
                Side(name: "JSONEncoder", share: 0.05, bar: .faster(5)) { count in
                    let encoder = JSONEncoder()
                    return try measure(source.values(type), count) {
                        try encoder.encode($0).isEmpty ? 0 : 1
                    }
                },
            ],
            expectedChecksum: { UInt64($0) })
    }

    @inline(__always)
    private static func measure<Item>(
        _ items: [Item], _ count: Int, _ body: (Item) throws -> Int64
    ) throws -> Sample {
        let watch = Stopwatch()
        var tally = Tally()
        var index = 0
        for _ in 0..<count {
            tally.add(try body(items[index]))
            index = index + 1 == items.count ? 0 : index + 1
        }
        return watch.sample(tally)
    }
}

struct StateEntry: Codable, Sendable {
    var key: String
    var count: Int
    var sum: Double
    var last: Int
}

/// Where the values of a comparison come from.
private enum CodingSource: Sendable {
    case flat, nested, state

    func values<Value: Codable>(_ type: Value.Type) throws -> [Value] {
        switch self {
        case .flat: return try decoded(JSONDocuments.flat.data)
        case .nested: return try decoded(JSONDocuments.nested.data)
        case .state:
            let entries = (0..<1_000).map { index in
                StateEntry(
                    key: "4111-1111-1111-\(1_000 + index)", count: index,
                    sum: Double(index) * 0.5, last: 1_700_000_000_000 + index)
            }
            return try decoded([JSONEncoder().encode(entries)])
        }
    }

    private func decoded<Value: Codable>(_ documents: [Data]) throws -> [Value] {
        try documents.map { try JSONDecoder().decode(Value.self, from: $0) }
    }
}
