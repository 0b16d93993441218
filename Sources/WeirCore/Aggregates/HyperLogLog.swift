/// A HyperLogLog sketch of the different hashes that were inserted.
///
/// It starts as a sorted list of hashes and turns into 2^precision registers when the list has 1/16
/// as many members. The estimate from registers is the one of O. Ertl, "New cardinality estimation
/// algorithms for HyperLogLog sketches" (2017): unbiased over the whole range without tables or
/// thresholds.
public struct HyperLogLog: Sendable, Hashable {
    /// The binary logarithm of the number of registers.
    public private(set) var precision: Int
    /// Sorted and unique; empty once there are registers.
    private var hashes: [UInt64] = []
    /// Each the largest rank seen, that is the position of the first 1 in the rest of a hash; empty
    /// at first.
    private var registers: [UInt8] = []

    /// Creates a sketch of nothing.
    ///
    /// - Parameter precision: From 4 to 18; a number beyond is taken for the nearest of these.
    public init(precision: Int = 14) {
        self.precision = min(max(precision, 4), 18)
    }

    private var hashCountMax: Int { (1 << precision) / 16 }

    /// Inserts one 64-bit hash.
    ///
    /// - Complexity: O(1) with registers, else O(number of hashes).
    public mutating func insert(hash: UInt64) {
        guard registers.isEmpty else {
            insertIntoRegisters(hash)
            return
        }
        var low = 0
        var high = hashes.count
        while low < high {
            let middle = (low + high) >> 1
            if hashes[middle] < hash { low = middle + 1 } else { high = middle }
        }
        if low < hashes.count, hashes[low] == hash { return }
        hashes.insert(hash, at: low)
        if hashes.count > hashCountMax { useRegisters() }
    }

    /// Inserts everything that is in `other`; of different precisions the smaller remains.
    ///
    /// - Complexity: O(2^precision).
    public mutating func merge(_ other: HyperLogLog) {
        var other = other
        reduce(to: other.precision)
        other.reduce(to: precision)
        for hash in other.hashes { insert(hash: hash) }
        guard !other.registers.isEmpty else { return }
        useRegisters()
        for index in registers.indices where registers[index] < other.registers[index] {
            registers[index] = other.registers[index]
        }
    }

    /// About how many different hashes were inserted, exact while there are few.
    ///
    /// - Complexity: O(2^precision).
    public var estimate: Int {
        if registers.isEmpty { return hashes.count }
        let size = Double(registers.count)
        let rankMax = 65 - precision
        var counts = [Int](repeating: 0, count: rankMax + 1)
        for rank in registers { counts[Int(rank)] += 1 }
        var sum = size * Self.tau(1 - Double(counts[rankMax]) / size)
        for rank in (1..<rankMax).reversed() { sum = 0.5 * (sum + Double(counts[rank])) }
        sum += size * Self.sigma(Double(counts[0]) / size)
        let alpha = 0.721_347_520_444_481_7  // 1 / (2 ln 2)
        // A finite number that fits: at least one register is not 0.
        return Int(Swift.min(alpha * size * size / sum, 9e18).rounded())
    }

    /// Lowers the precision, as a checkpoint of an older topology may need it; exact.
    private mutating func reduce(to lower: Int) {
        guard lower < precision else { return }
        let bits = precision - lower
        let old = registers
        precision = lower
        if old.isEmpty {
            if hashes.count > hashCountMax { useRegisters() }
            return
        }
        registers = [UInt8](repeating: 0, count: 1 << lower)
        for (index, rank) in old.enumerated() where rank > 0 {
            // The bits of the index that are lost belong to the rest of the hash now.
            let rest = UInt64(index) << UInt64(64 - bits)
            let reduced = rest == 0 ? rank + UInt8(bits) : UInt8(rest.leadingZeroBitCount + 1)
            registers[index >> bits] = Swift.max(registers[index >> bits], reduced)
        }
    }

    private mutating func useRegisters() {
        guard registers.isEmpty else { return }
        registers = [UInt8](repeating: 0, count: 1 << precision)
        for hash in hashes { insertIntoRegisters(hash) }
        hashes = []
    }

    private mutating func insertIntoRegisters(_ hash: UInt64) {
        let index = Int(hash >> UInt64(64 - precision))
        // The guard bit limits the rank to 65 - precision.
        let rest = hash << UInt64(precision) | 1 << UInt64(precision - 1)
        let rank = UInt8(truncatingIfNeeded: rest.leadingZeroBitCount + 1)
        if registers[index] < rank { registers[index] = rank }
    }

    private static func sigma(_ share: Double) -> Double {
        if share == 1 { return .infinity }
        var power = share
        var factor = 1.0
        var sum = share
        while true {
            power *= power
            let next = sum + power * factor
            if next == sum { return sum }
            sum = next
            factor += factor
        }
    }

    private static func tau(_ share: Double) -> Double {
        if share == 0 || share == 1 { return 0 }
        var root = share
        var factor = 1.0
        var sum = 1 - share
        while true {
            root = root.squareRoot()
            factor *= 0.5
            let next = sum - (1 - root) * (1 - root) * factor
            if next == sum { return sum / 3 }
            sum = next
        }
    }
}

extension HyperLogLog: Codable {
    private enum CodingKeys: String, CodingKey { case precision, hashes, registers }

    /// Reads a sketch.
    ///
    /// - Throws: `DecodingError` if its parts do not fit together.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        precision = try container.decode(Int.self, forKey: .precision)
        let sorted = try container.decode([UInt64].self, forKey: .hashes)
        let words = try container.decode([UInt64].self, forKey: .registers)
        guard (4...18).contains(precision), words.isEmpty || words.count == 1 << (precision - 3),
            words.isEmpty || sorted.isEmpty, sorted.count <= 1 << (precision - 4)
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .registers, in: container, debugDescription: "no HyperLogLog sketch")
        }
        let rankMax = UInt8(65 - precision)
        for word in words {
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                registers.append(Swift.min(UInt8(truncatingIfNeeded: word >> shift), rankMax))
            }
        }
        for hash in sorted { insert(hash: hash) }
    }

    /// Writes the hashes, or the registers in words of eight.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(precision, forKey: .precision)
        try container.encode(hashes, forKey: .hashes)
        let words = stride(from: 0, to: registers.count, by: 8).map { start in
            (0..<8).reduce(UInt64(0)) { $0 | UInt64(registers[start + $1]) << UInt64(8 * $1) }
        }
        try container.encode(words, forKey: .registers)
    }
}
