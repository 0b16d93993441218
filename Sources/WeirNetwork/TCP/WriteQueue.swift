/// Bytes that wait until the kernel takes them, in order, with their count.
///
/// Small writes are gathered in blocks, so that many of them cost little more than their bytes;
/// large shared bytes are kept by reference.
struct WriteQueue {
    /// Capacity of a block that gathers small writes.
    static let blockCapacity = 16 * 1_024
    /// Shared bytes below this size are copied: a reference to each would cost more.
    static let sharedMinimum = 4 * 1_024

    struct Entry {
        let owner: SharedBytesOwner
        var offset: Int
        var count: Int

        var base: UnsafeMutableRawPointer { owner.base + offset }
    }

    private var entries: [Entry] = []
    private var head = 0
    private var isTailOpen = false
    /// Bytes that wait.
    private(set) var byteCount = 0

    var isEmpty: Bool { byteCount == 0 }

    /// Copies bytes to the end.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while let source = rest.baseAddress, rest.count > 0 {
            if !isTailOpen || entries[entries.count - 1].owner.free == 0 { openBlock(rest.count) }
            let tail = entries.count - 1
            let taken = entries[tail].owner.fill(source, rest.count)
            entries[tail].count += taken
            byteCount += taken
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
        }
    }

    /// Puts shared bytes at the end, from `offset` on.
    mutating func append(_ shared: SharedBytes, from offset: Int) {
        let count = shared.count - offset
        guard count > 0 else { return }
        if count < Self.sharedMinimum {
            append(UnsafeRawBufferPointer(start: shared.base + offset, count: count))
            return
        }
        entries.append(Entry(owner: SharedBytesOwner(shared), offset: offset, count: count))
        isTailOpen = false
        byteCount += count
    }

    private mutating func openBlock(_ wanted: Int) {
        let capacity = wanted < 1_024 ? max(256, wanted * 4) : min(wanted, Self.blockCapacity)
        let size = byteCount > 0 ? Self.blockCapacity : capacity
        entries.append(Entry(owner: SharedBytesOwner(capacity: size), offset: 0, count: 0))
        isTailOpen = true
    }

    /// Gives the first entries, at most `limit`; they stay until `removeFirst`.
    func prefix(_ limit: Int, _ body: (Entry) -> Void) {
        for index in head..<min(entries.count, head + limit) { body(entries[index]) }
    }

    /// Drops bytes that the kernel has taken.
    mutating func removeFirst(_ count: Int) {
        var rest = count
        byteCount -= count
        while rest > 0, head < entries.count {
            let taken = min(rest, entries[head].count)
            entries[head].offset += taken
            entries[head].count -= taken
            rest -= taken
            if entries[head].count == 0 { head += 1 }
        }
        if head == entries.count {
            entries = []
            head = 0
            isTailOpen = false
        } else if head > 64, head * 2 > entries.count {
            entries.removeFirst(head)
            head = 0
        }
    }

    mutating func removeAll() {
        self = WriteQueue()
    }
}

/// Memory of the queue: a block of its own, or shared bytes kept alive.
final class SharedBytesOwner {
    let base: UnsafeMutableRawPointer
    private let shared: SharedBytes?
    private let capacity: Int
    private var used = 0

    var free: Int { capacity - used }

    init(capacity: Int) {
        base = .allocate(byteCount: capacity, alignment: 16)
        self.capacity = capacity
        shared = nil
    }

    init(_ shared: SharedBytes) {
        base = shared.base
        self.shared = shared
        capacity = 0
    }

    /// Copies as much as fits and returns how much that is.
    func fill(_ source: UnsafeRawPointer, _ count: Int) -> Int {
        let taken = min(count, capacity - used)
        (base + used).copyMemory(from: source, byteCount: taken)
        used += taken
        return taken
    }

    deinit { if shared == nil { base.deallocate() } }
}
