import Foundation
import Testing
import WeirJSON

/// Random documents, written as text so that white space, escapes and notations vary.
struct DocumentGenerator {
    var random: SeededGenerator

    /// Whether an object may have equal keys, of which JSONDecoder does not check the later ones.
    var repeatsKeys = true

    init(seed: UInt64) { random = SeededGenerator(state: seed) }

    mutating func pick(_ choices: [String]) -> String {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }

    mutating func space() -> String { pick(["", "", "", "", " ", "\n", "\t ", "\r\n"]) }

    mutating func string() -> String {
        var text = "\""
        for _ in 0..<Int.random(in: 0...20, using: &random) {
            text += pick([
                "a", "b", "Z", "0", " ", "é", "日", "😀", "\\n", "\\\"", "\\\\", "\\/", "\\u0041",
                "\\ud83d\\ude00", "\u{7f}", "/", "{", "]", ",", ":", "xyzzy", "\\u00e9",
            ])
        }
        return text + "\""
    }

    mutating func number() -> String {
        let (large, other) = (UInt64.random(in: 0 ... .max, using: &random), random.next())
        let (small, exponent) = (
            Int.random(in: -99...99, using: &random), Int.random(in: -330...320, using: &random)
        )
        return switch Int.random(in: 0..<8, using: &random) {
        case 0: "\(large)"
        case 1: "-\(large)"
        case 2: "\(small)"
        case 3: "\(Double.random(in: -1e6...1e6, using: &random))"
        case 4: "\(small).\(large >> 40)"
        case 5: "\(small)e\(exponent)"
        case 6: "\(large).\(other)E-\(abs(small))"
        default: "\(Double(bitPattern: large % 0x7FEF_FFFF_FFFF_FFFF))"
        }
    }

    mutating func value(depth: Int) -> String {
        var text = space()
        switch Int.random(in: 0..<(depth > 0 ? 8 : 5), using: &random) {
        case 0: text += pick(["true", "false", "null"])
        case 1, 2: text += number()
        case 3, 4: text += string()
        case 5, 6:
            var members: [String] = []
            for _ in 0..<Int.random(in: 0...9, using: &random) {
                let place = members.count
                let key =
                    repeatsKeys
                    ? pick(["\"a\"", "\"id\"", "\"amount\"", string(), "\"k\(place)\""])
                    : pick(["\"k\(place)\"", "\"\(place)" + string().dropFirst()])
                members.append(space() + key + space() + ":" + value(depth: depth - 1))
            }
            text += "{" + members.joined(separator: ",") + space() + "}"
        default:
            var elements: [String] = []
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                elements.append(value(depth: depth - 1))
            }
            text += "[" + elements.joined(separator: ",") + space() + "]"
        }
        return text + space()
    }
}

@Suite struct `Random documents` {
    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func `decode as JSONDecoder has it`(_ seed: UInt64) {
        var generator = DocumentGenerator(seed: seed)
        for _ in 0..<400 {
            let text = generator.value(depth: 4)
            let bytes = Array(text.utf8)
            #expect(ours(Tree.self, bytes) == reference(Tree.self, bytes), "seed \(seed): \(text)")
        }
    }

    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func `agree on what is broken`(_ seed: UInt64) {
        var generator = DocumentGenerator(seed: seed)
        generator.repeatsKeys = false
        for _ in 0..<300 {
            let original = Array(generator.value(depth: 3).utf8)
            for _ in 0..<8 where !original.isEmpty {
                var bytes = original
                let at = Int.random(in: 0..<bytes.count, using: &generator.random)
                let byte =
                    Bool.random(using: &generator.random)
                    ? UInt8.random(in: 1...255, using: &generator.random)
                    : Array("{}[]\",:\\0e.-+tfn u".utf8).randomElement(using: &generator.random)
                switch Int.random(in: 0..<4, using: &generator.random) {
                case 0: bytes[at] ^= 1 << UInt8.random(in: 0...7, using: &generator.random)
                case 1: bytes = Array(bytes[..<at])
                case 2: bytes.insert(byte ?? 1, at: at)
                default: bytes.remove(at: at)
                }
                // A zero or a mark at the start makes JSONDecoder guess UTF-16 or UTF-32.
                if isLenient(bytes) || bytes.starts(with: [0xFE]) || bytes.starts(with: [0xFF]) {
                    continue
                }
                #expect(
                    ours(Tree.self, bytes) == reference(Tree.self, bytes),
                    "seed \(seed): \(String(decoding: bytes, as: UTF8.self)) \(bytes)")
            }
        }
    }

    @Test(arguments: [21, 22, 23] as [UInt64])
    func `survive encoding and decoding`(_ seed: UInt64) throws {
        var generator = DocumentGenerator(seed: seed)
        for _ in 0..<300 {
            let text = generator.value(depth: 4)
            guard let tree = try? JSONEventDecoder().decode(Tree.self, from: text) else { continue }
            for encoder in [JSONEventEncoder(), JSONEventEncoder(sortedKeys: true)] {
                let bytes = try encoder.encode(tree)
                #expect(ours(Tree.self, bytes) == .value(tree), "seed \(seed): \(text)")
                #expect(reference(Tree.self, bytes) == .value(tree), "seed \(seed): \(text)")
            }
        }
    }
}
