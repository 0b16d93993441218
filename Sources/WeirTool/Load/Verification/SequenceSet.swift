/// A set of messages' numbers, a bit each.
struct SequenceSet: Sendable {
    /// The largest number of messages that it is made for: 25 MB.
    static let countMax = 200_000_000

    private var words: [UInt64]
    private(set) var count = 0

    /// Makes an empty set for the numbers 0 up to `capacity`, that one not included.
    init(capacity: Int) {
        words = [UInt64](repeating: 0, count: (capacity + 63) / 64)
    }

    /// Adds a number; false when it was there before, or is beyond the capacity.
    @discardableResult
    mutating func insert(_ number: Int) -> Bool {
        let bit: UInt64 = 1 << UInt64(number & 63)
        guard number >= 0, number / 64 < words.count, words[number / 64] & bit == 0 else {
            return false
        }
        words[number / 64] |= bit
        count += 1
        return true
    }

    func contains(_ number: Int) -> Bool {
        number >= 0 && number / 64 < words.count
            && words[number / 64] & (1 << UInt64(number & 63)) != 0
    }

    /// The numbers that are here and not in another set, smallest first, at most `limit`; and how
    /// many there are in all.
    func subtracting(_ other: SequenceSet, limit: Int) -> (count: Int, first: [Int]) {
        var count = 0
        var first: [Int] = []
        for (index, word) in words.enumerated() {
            var rest = word & ~(index < other.words.count ? other.words[index] : 0)
            count += rest.nonzeroBitCount
            while rest != 0 && first.count < limit {
                first.append(index * 64 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
        return (count, first)
    }
}
