/// The keys of the document before, by their ordinal: events of a kind have the same keys.
///
/// A key that equals the one remembered at its ordinal needs a comparison, not a search for its
/// end, so that the scanner does not wait for it to know where the next token starts.
struct KeyMemory {
    /// A valid key in ASCII; one without bytes is none.
    struct Entry {
        /// The first eight bytes, or fewer with zeros after them.
        fileprivate(set) var head: UInt64 = 0
        fileprivate(set) var mask: UInt64 = 0
        /// The last eight bytes of a key of more than eight.
        fileprivate(set) var tail: UInt64 = 0
        fileprivate(set) var print: UInt64 = 0
        fileprivate(set) var count = 0
    }

    private let entries: UnsafeMutablePointer<Entry>

    /// How many keys of a document are remembered.
    static let entriesMaximum = 64
    /// Longer keys are not remembered; ``Scanner/padding`` has room for one and what follows it.
    static let bytesMaximum = 16

    init() {
        entries = .allocate(capacity: Self.entriesMaximum)
        entries.initialize(repeating: Entry(), count: Self.entriesMaximum)
    }

    /// The number of bytes of the key whose content starts at `content`, if it is the one that
    /// is remembered and its quote and a colon follow.
    @inline(__always)
    func match(_ ordinal: Int, _ content: UnsafePointer<UInt8>) -> Entry? {
        // Safety: the padding can be read in any case, and any alignment will do.
        let entry = entries[ordinal & (Self.entriesMaximum - 1)]
        let bytes = UnsafeRawPointer(content)
        let head = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        let after = bytes.loadUnaligned(fromByteOffset: entry.count, as: UInt16.self)
        guard (head ^ entry.head) & entry.mask == 0, UInt16(littleEndian: after) == 0x3A22,
            entry.count > 0
        else { return nil }
        if entry.count > 8 {
            let offset = entry.count &- 8
            let tail = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            guard UInt64(littleEndian: tail) == entry.tail else { return nil }
        }
        return entry
    }

    /// Remembers a valid key.
    @inline(__always)
    func remember(
        _ ordinal: Int, _ content: UnsafePointer<UInt8>, _ count: Int, print: UInt64
    ) {
        guard count > 0, count <= Self.bytesMaximum else { return }
        // Safety: as above.
        let bytes = UnsafeRawPointer(content)
        let head = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        let mask: UInt64 = count >= 8 ? .max : 1 << UInt64(count * 8) - 1
        let tail = bytes.loadUnaligned(fromByteOffset: max(count - 8, 0), as: UInt64.self)
        entries[ordinal & (Self.entriesMaximum - 1)] = Entry(
            head: head & mask, mask: mask, tail: UInt64(littleEndian: tail), print: print,
            count: count)
    }
}
