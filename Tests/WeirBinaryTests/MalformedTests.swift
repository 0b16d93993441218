import Testing

@testable import WeirBinary

/// Any document, decoded by its own structure.
indirect enum Tree: Codable, Equatable {
    case null, bool(Bool), integer(Int), real(Double), text(String)
    case array([Tree]), keyed([String: Tree])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .real(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([Tree].self) {
            self = .array(value)
        } else {
            self = .keyed(try container.decode([String: Tree].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .real(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .keyed(let value): try container.encode(value)
        }
    }

    static func random(_ random: inout SplitMix, depth: Int = 4) -> Tree {
        switch random.next() % (depth == 0 ? 5 : 8) {
        case 0: return .null
        case 1: return .bool(random.next() & 1 == 0)
        case 2: return .integer(Int(truncatingIfNeeded: random.next() >> (random.next() % 64)))
        case 3: return .real(Double(Int32(truncatingIfNeeded: random.next())) + 0.5)
        case 4: return .text(String(repeating: "aé雨", count: Int(random.next() % 16)))
        case 5: return .array((0..<random.next() % 6).map { .integer(Int($0)) })
        case 6:
            return .array(
                (0..<random.next() % 5).map { _ in Tree.random(&random, depth: depth - 1) })
        default:
            return .keyed(
                Dictionary(
                    (0..<random.next() % 12).map {
                        ("k\($0)", Tree.random(&random, depth: depth - 1))
                    }
                ) { $1 })
        }
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

private let sample: [UInt8] = {
    struct Sample: Codable {
        var id = 1 << 40
        var text = "a text of more than thirty-one bytes, é included"
        var map = ["a": [1.5, 2], "b": []]
        var raw: [UInt8] = [1, 2, 3]
        var wide = UInt128.max
        var optional: Int?
        var items = [Item(), Item()]
        struct Item: Codable { var flag = true, ids = [-1, 300], small = Float(1) }
    }
    return (try? BinaryEncoder().encode(Sample())) ?? []
}()

/// Decodes bytes in every way; only errors of this module may come.
private func decodeAll(_ bytes: [UInt8]) -> Bool {
    var isValid = false
    do {
        _ = try BinaryValue.values(of: bytes).description
        isValid = true
        _ = try BinaryDecoder().decode(Tree.self, from: bytes)
    } catch {
        #expect(error is BinaryCodingError)
        #expect(!"\(error)".isEmpty)
    }
    _ = try? BinaryDecoder().decode([Event].self, from: bytes)
    _ = try? BinaryDecoder().decode(Event.self, from: bytes)
    _ = try? BinaryDecoder().decode([String: Int].self, from: bytes)
    return isValid
}

@Suite struct `Bytes that are no document are refused` {
    @Test func `random values survive, and their truncations are errors`() throws {
        for seed in 0..<200 {
            var random = SplitMix(state: UInt64(seed))
            let tree = Tree.random(&random)
            let bytes = try BinaryEncoder().encode(tree)
            let found = try BinaryDecoder().decode(Tree.self, from: bytes)
            #expect(found == tree, "seed \(seed)")
            for count in stride(from: 0, to: bytes.count, by: 1 + bytes.count / 16) {
                #expect(throws: BinaryCodingError.self, "seed \(seed)") {
                    try BinaryDecoder().decode(Tree.self, from: Array(bytes.prefix(count)))
                }
            }
        }
    }

    @Test func `truncations at every byte are errors`() {
        #expect(decodeAll(sample))
        for count in 0..<sample.count { #expect(!decodeAll(Array(sample.prefix(count)))) }
        #expect(!decodeAll(sample + [0]))
    }

    @Test func `no flipped bit and no other byte traps`() {
        for index in sample.indices {
            for bit in 0..<8 {
                var bytes = sample
                bytes[index] ^= 1 << UInt8(bit)
                _ = decodeAll(bytes)
            }
            for byte: UInt8 in [0, 0x0B, 0x0C, 0x0D, 0x11, 0x7F, 0x80, 0xFF] {
                var bytes = sample
                bytes[index] = byte
                _ = decodeAll(bytes)
            }
        }
    }

    @Test(
        arguments: [
            ([], "invalid header at byte 0"),
            ([0x57, 0x42, 2, 0], "invalid header at byte 2"),
            // A string of four gigabytes, an array of as many, and a shape that is not there.
            ([1, 0, 1, 0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], "malformed at byte 8"),
            ([1, 0, 1, 0x0B, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], "malformed at byte 8"),
            ([1, 0, 1, 0x14, 2, 0, 0, 0, 0, 0, 0, 0, 0], "malformed at byte 8"),
            ([1, 0, 1, 0x80], "malformed at byte 7"),
            ([2, 0, 1, 0x40], "malformed at byte 6"),
            ([1, 0, 1, 0x21, 0xFF], "invalid UTF-8 at byte 8"),
            ([1, 0, 1, 0x40, 0x40], "malformed at byte 8"),
            ([1, 0, 1, 0x03], "malformed at byte 7"),
            ([1, 0, 1, 0xC0], "malformed at byte 7"),
            ([1, 0, 1, 0x04, 0x80, 0x00], "malformed at byte 7"),
            ([6, 1, 2, 1, 0x61, 1, 0x61, 1, 0x40], "malformed at byte 11"),
        ] as [([UInt8], String)])
    func `malformed`(_ tail: [UInt8], _ expected: String) {
        let isHeader = tail.isEmpty || tail[0] == 0x57
        let bytes = isHeader ? tail : Header.bytes + tail
        let error = #expect(throws: BinaryCodingError.self) {
            try BinaryDecoder().decode(BinaryValue.self, from: bytes)
        }
        let text = error.map { String(describing: $0) } ?? ""
        #expect(text.hasPrefix(expected), "\(text)")
    }

    @Test func `limits on depth and size hold on both sides`() throws {
        func nest(_ depth: Int) -> Tree {
            (0..<depth).reduce(.null) { tree, _ in .array([tree]) }
        }
        let bytes = try BinaryEncoder().encode(nest(128))
        #expect(try BinaryDecoder().decode(Tree.self, from: bytes) == nest(128))
        let error = #expect(throws: BinaryCodingError.self) {
            try BinaryEncoder().encode(nest(129))
        }
        #expect(error?.code == .tooDeep)
        let deep = try BinaryEncoder(maximumDepth: 1_000).encode(nest(129))
        let other = #expect(throws: BinaryCodingError.self) {
            try BinaryDecoder().decode(Tree.self, from: deep)
        }
        #expect(other?.code == .tooDeep && other?.byteOffset != nil)
        let small = BinaryDecoder(limits: .init(maximumBytes: bytes.count - 1))
        let large = #expect(throws: BinaryCodingError.self) {
            try small.decode(Tree.self, from: bytes)
        }
        #expect(large?.code == .tooLarge)
    }
}
