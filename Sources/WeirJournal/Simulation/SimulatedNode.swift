/// A file on the simulated disk: what a reader sees, what is durable, and the way between.
struct SimulatedNode: Sendable {
    /// A change that the device may not have yet.
    enum Change: Sendable {
        case write(offset: Int, bytes: [UInt8])
        case resize(Int)
        case extend(Int)
    }

    private(set) var current: [UInt8] = []
    private(set) var durable: [UInt8] = []
    private var pending: [Change] = []

    var isSynchronized: Bool { pending.isEmpty }

    mutating func apply(_ change: Change) {
        Self.apply(change, to: &current)
        pending.append(change)
    }

    mutating func synchronize() {
        if pending.isEmpty { return }
        durable = current
        pending.removeAll()
    }

    /// Each pending change is on disk, or gone for good, though the device failed.
    ///
    /// The cache shows what was written, or what the disk has; the next call succeeds.
    mutating func failToSynchronize(_ random: inout SimulatedRandom) {
        losePending(&random)
        if random.below(2) == 0 { current = durable }
    }

    /// Power went: some of the changes survive, and any of them may be torn.
    mutating func crash(_ random: inout SimulatedRandom) {
        losePending(&random)
        current = durable
    }

    mutating func flip(bit: Int) {
        guard bit / 8 < current.count else { return }
        current[bit / 8] ^= 1 << UInt8(bit % 8)
        if bit / 8 < durable.count { durable[bit / 8] ^= 1 << UInt8(bit % 8) }
    }

    private mutating func losePending(_ random: inout SimulatedRandom) {
        let isPrefix = random.below(2) == 0
        let limit = random.below(pending.count + 1)
        for (index, change) in pending.enumerated() {
            if isPrefix ? index > limit : random.below(3) == 0 { continue }
            let isTorn = isPrefix ? index == limit : random.below(2) == 0
            if isTorn {
                Self.tear(change, &durable, &random)
            } else {
                Self.apply(change, to: &durable)
            }
        }
        pending.removeAll()
    }

    /// Keeps a part of a write: the bytes before some point, or some of the sectors.
    private static func tear(
        _ change: Change, _ content: inout [UInt8], _ random: inout SimulatedRandom
    ) {
        guard case .write(let offset, let bytes) = change else { return }
        switch random.below(3) {
        case 0:
            let kept = random.below(bytes.count + 1)
            apply(.write(offset: offset, bytes: Array(bytes[..<kept])), to: &content)
        case 1:
            let sectors = (offset + random.below(bytes.count + 1)) / 512 * 512
            let kept = max(0, min(bytes.count, sectors - offset))
            apply(.write(offset: offset, bytes: Array(bytes[..<kept])), to: &content)
        default:
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, ((offset + start) / 512 + 1) * 512 - offset)
                if random.below(2) == 0 {
                    apply(
                        .write(offset: offset + start, bytes: Array(bytes[start..<end])),
                        to: &content)
                }
                start = end
            }
        }
    }

    private static func apply(_ change: Change, to content: inout [UInt8]) {
        switch change {
        case .write(let offset, let bytes):
            if bytes.isEmpty { return }
            extend(&content, to: offset + bytes.count)
            content.withUnsafeMutableBytes { target in
                bytes.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: $0)
                }
            }
        case .resize(let size):
            if size < content.count { content.removeLast(content.count - size) }
            extend(&content, to: size)
        case .extend(let size):
            extend(&content, to: size)
        }
    }

    private static func extend(_ content: inout [UInt8], to size: Int) {
        if content.count < size {
            content.append(zeros: size - content.count)
        }
    }
}

/// The names in a simulated directory.
struct SimulatedDirectory: Sendable {
    /// A change of one name; a rename is one change, so that it is atomic.
    enum Change: Sendable {
        case add(String, node: Int)
        case remove(String)
        case rename(String, to: String)
    }

    private(set) var current: [String: Int] = [:]
    private(set) var durable: [String: Int] = [:]
    private var pending: [Change] = []

    mutating func apply(_ change: Change) {
        Self.apply(change, to: &current)
        pending.append(change)
    }

    mutating func synchronize() {
        durable = current
        pending.removeAll()
    }

    /// Keeps the first few of the changes, in order.
    mutating func crash(_ random: inout SimulatedRandom) {
        for change in pending.prefix(random.below(pending.count + 1)) {
            Self.apply(change, to: &durable)
        }
        pending.removeAll()
        current = durable
    }

    private static func apply(_ change: Change, to names: inout [String: Int]) {
        switch change {
        case .add(let name, let node): names[name] = node
        case .remove(let name): names[name] = nil
        case .rename(let from, let to): names[to] = names.removeValue(forKey: from)
        }
    }
}
