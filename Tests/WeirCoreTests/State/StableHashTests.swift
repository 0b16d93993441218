import Testing
import WeirCore

@Suite struct `A stable hash` {
    struct Pair: Hashable, Codable {
        var left: Int
        var right: String
        var members: Set<String> = []
        var labels: [String: Int] = [:]
        var list: [Int] = []
        var note: String?
    }

    struct Reordered: Hashable, Codable {
        var first: Int
        var second: Int
        var reversed: Bool

        enum CodingKeys: String, CodingKey { case first, second }

        init(first: Int, second: Int, reversed: Bool) {
            self.first = first
            self.second = second
            self.reversed = reversed
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            first = try container.decode(Int.self, forKey: .first)
            second = try container.decode(Int.self, forKey: .second)
            reversed = false
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            if reversed { try container.encode(second, forKey: .second) }
            try container.encode(first, forKey: .first)
            if !reversed { try container.encode(second, forKey: .second) }
        }
    }

    enum Shape: Hashable, Codable {
        case circle(radius: Double)
        case square(side: Double)
        case none
    }

    struct Own: Hashable, Codable, StableHashable {
        var name: String
        var cached = 0

        static func == (left: Own, right: Own) -> Bool { left.name == right.name }
        func hash(into hasher: inout Hasher) { hasher.combine(name) }
        func stableHash(into hasher: inout StableHasher) { hasher.combine(name) }
    }

    @Test func `never changes, since checkpoints depend on it`() {
        #expect(stableHash(0) == 5735971041797140646)
        #expect(stableHash(1) == 13371257794885400185)
        #expect(stableHash(-1) == 2704071690583750721)
        #expect(stableHash("") == 13776188990194903984)
        #expect(stableHash("card-4711") == 18041271869920846113)
        #expect(stableHash("a text of more than sixteen bytes") == 16631615815451537470)
        #expect(stableHash("Žluťoučký kůň") == 9403863402490061548)
        #expect(stableHash(1.5) == 8056142873903306685)
        #expect(stableHash(Pair(left: 1, right: "x")) == 3720837706229761762)
    }

    @Test func `is equal for integers of equal value whatever their width`() {
        #expect(stableHash(Int8(-7)) == stableHash(Int64(-7)))
        #expect(stableHash(Int16(-7)) == stableHash(Int(-7)))
        #expect(stableHash(Int32(-7)) == stableHash(Int(-7)))
        #expect(stableHash(UInt8(7)) == stableHash(UInt64(7)))
        #expect(stableHash(UInt16(7)) == stableHash(UInt32(7)))
        #expect(stableHash(UInt(7)) == stableHash(7))
    }

    @Test func `is equal for both zeros and for every NaN`() {
        #expect(stableHash(0.0) == stableHash(-0.0))
        #expect(stableHash(Float(0)) == stableHash(-Float(0)))
        #expect(stableHash(Double.nan) == stableHash(-Double.nan))
        #expect(stableHash(1.0) != stableHash(-1.0))
        #expect(stableHash([0.0]) == stableHash([-0.0]))
    }

    @Test(arguments: [
        ("\u{e9}", "e\u{301}"), ("\u{212a}", "K"), ("\u{ac00}", "\u{1100}\u{1161}"),
        ("q\u{307}\u{323}", "q\u{323}\u{307}"), ("\u{37e}", ";"),
        ("caf\u{e9} au lait 12345", "cafe\u{301} au lait 12345"),
        ("\u{1e69}", "s\u{323}\u{307}"), ("\u{f900}", "\u{8c48}"),
    ])
    func `is equal for canonically equivalent text`(left: String, right: String) {
        #expect(left == right)
        #expect(stableHash(left) == stableHash(right))
        #expect(stableHash([left]) == stableHash([right]))
    }

    @Test func `agrees with equality for every scalar and its normal form`() {
        var disagreeing: [UInt32] = []
        for value in UInt32(0)..<0x3_0000 {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = String(String.UnicodeScalarView([scalar]))
            let normal = String(decoding: text._nfcCodeUnits, as: UTF8.self)
            if text != normal || stableHash(text) != stableHash(normal) {
                disagreeing.append(value)
            }
        }
        #expect(disagreeing == [])
    }

    @Test func `differs for text that differs in one byte or in length`() {
        var seen: Set<UInt64> = []
        var count = 0
        for length in 0..<70 {
            let base = [UInt8](repeating: 97, count: length)
            #expect(seen.insert(stableHash(String(decoding: base, as: UTF8.self))).inserted)
            count += 1
            for index in 0..<length {
                var changed = base
                changed[index] = 98
                let text = String(decoding: changed, as: UTF8.self)
                #expect(seen.insert(stableHash(text)).inserted)
                count += 1
            }
        }
        #expect(seen.count == count)
    }

    @Test func `is independent of the order in which fields and unordered members are encoded`() {
        let left = Reordered(first: 1, second: 2, reversed: false)
        #expect(stableHash(left) == stableHash(Reordered(first: 1, second: 2, reversed: true)))
        #expect(stableHash(left) != stableHash(Reordered(first: 2, second: 1, reversed: false)))
        var grown = Set((0..<500).map(String.init))
        for index in 3..<500 { grown.remove(String(index)) }
        let fresh: Set<String> = ["2", "1", "0"]
        #expect(
            stableHash(Pair(left: 1, right: "", members: grown))
                == stableHash(Pair(left: 1, right: "", members: fresh)))
        var labels = Dictionary(uniqueKeysWithValues: (0..<500).map { (String($0), $0) })
        for index in 2..<500 { labels[String(index)] = nil }
        #expect(stableHash(labels) == stableHash(["1": 1, "0": 0]))
        #expect(stableHash(["0": 1, "1": 0]) != stableHash(["1": 1, "0": 0]))
    }

    @Test func `depends on every field of a struct and on the order of a list`() {
        let base = Pair(left: 1, right: "x", list: [1, 2])
        #expect(stableHash(base) == stableHash(Pair(left: 1, right: "x", list: [1, 2])))
        #expect(stableHash(base) != stableHash(Pair(left: 2, right: "x", list: [1, 2])))
        #expect(stableHash(base) != stableHash(Pair(left: 1, right: "y", list: [1, 2])))
        #expect(stableHash(base) != stableHash(Pair(left: 1, right: "x", list: [2, 1])))
        #expect(stableHash(base) != stableHash(Pair(left: 1, right: "x", list: [1, 2], note: "")))
        #expect(stableHash(Shape.circle(radius: 1)) != stableHash(Shape.square(side: 1)))
        #expect(stableHash(Shape.none) != stableHash(Shape.circle(radius: 1)))
    }

    @Test func `is the type's own when it says how it hashes`() {
        #expect(stableHash(Own(name: "a", cached: 1)) == stableHash(Own(name: "a", cached: 2)))
        #expect(stableHash([Own(name: "a", cached: 1)]) == stableHash([Own(name: "a", cached: 2)]))
        #expect(stableHash(Own(name: "a")) != stableHash(Own(name: "b")))
    }

    @Test(arguments: [1, 2, 8, 128, 1_000, 4_096, 1 << 20, 1 << 33])
    func `spreads regular integers evenly over groups, slots and tags`(stride: Int) {
        var groups = [Int](repeating: 0, count: 128)
        var slots = [Int](repeating: 0, count: 128)
        var tags = [Int](repeating: 0, count: 128)
        for index in 0..<128_000 {
            let hash = stableHash(index &* stride)
            groups[KeyGroup.keyGroup(ofHash: hash)] += 1
            slots[Int(hash & 127)] += 1
            tags[Int(hash >> 32 & 127)] += 1
        }
        for counts in [groups, slots, tags] {
            #expect(counts.allSatisfy { (700...1_300).contains($0) }, "\(counts)")
        }
    }
}

@Suite struct `Key groups` {
    @Test(arguments: [1, 2, 3, 7, 100, 127, 128])
    func `belong to instances in contiguous ranges that cover all`(parallelism: Int) {
        var next = 0
        for instance in 0..<parallelism {
            let groups = KeyGroup.groups(ofInstance: instance, parallelism: parallelism)
            #expect(groups.lowerBound == next)
            #expect(!groups.isEmpty)
            for group in groups {
                #expect(KeyGroup.instance(ofGroup: group, parallelism: parallelism) == instance)
            }
            next = groups.upperBound
        }
        #expect(next == KeyGroup.count)
    }
}
