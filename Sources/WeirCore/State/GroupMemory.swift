#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// Memory for the key groups of one table, on huge pages where there is much of it.
///
/// Key groups grow alike, so blocks of one size lie side by side in one mapping that has room for
/// all groups: a big table takes few entries of the processor's address cache, which random access
/// would otherwise miss at every step. Pages that no group has touched take no memory. Small
/// blocks, and those as big as a huge page, are allocated on their own.
@usableFromInline
struct GroupMemory {
    /// Room for one block of each key group.
    private struct Region {
        // Safety: mapped by `init`, unmapped by `free` only, when no block is in use any more.
        let mapping: UnsafeMutableRawPointer
        let mappedByteCount: Int
        let base: UnsafeMutableRawPointer
        var blocksInUse = 0
    }

    private static let hugePage = 2 << 20
    private static let sharedByteCounts = (32 << 10)..<hugePage
    /// By the size of their blocks; never more than one for each power of two.
    private var regions: [Int: Region] = [:]

    @usableFromInline
    init() {}

    /// Memory for one block of `group`, aligned to a cache line.
    @usableFromInline
    mutating func allocate(byteCount: Int, group: Int) -> UnsafeMutableRawPointer {
        if Self.sharedByteCounts.contains(byteCount) {
            if regions[byteCount] == nil { regions[byteCount] = Self.map(byteCount: byteCount) }
            if let base = regions[byteCount]?.base {
                regions[byteCount]?.blocksInUse += 1
                return base + group * byteCount
            }
        }
        let isHuge = byteCount >= Self.hugePage
        let block = UnsafeMutableRawPointer.allocate(
            byteCount: byteCount, alignment: isHuge ? Self.hugePage : 64)
        if isHuge { Self.adviseHugePages(block, byteCount) }
        return block
    }

    /// Returns a block that ``allocate(byteCount:group:)`` gave for the same size and group.
    @usableFromInline
    mutating func free(_ block: UnsafeMutableRawPointer, byteCount: Int, group: Int) {
        guard let region = regions[byteCount], region.base + group * byteCount == block else {
            return block.deallocate()
        }
        if region.blocksInUse == 1 {
            munmap(region.mapping, region.mappedByteCount)
            regions[byteCount] = nil
            return
        }
        regions[byteCount]?.blocksInUse -= 1
        let page = Int(getpagesize())
        let start = (Int(bitPattern: block) + page - 1) & -page
        let end = (Int(bitPattern: block) + byteCount) & -page
        // Safety: the whole pages inside a block that nobody uses any more.
        if start < end {
            madvise(UnsafeMutableRawPointer(bitPattern: start), end - start, MADV_DONTNEED)
        }
    }

    /// Nil if the system grants no such stretch of addresses.
    private static func map(byteCount: Int) -> Region? {
        let total = byteCount * KeyGroup.count + hugePage
        let protection = PROT_READ | PROT_WRITE
        let flags = MAP_PRIVATE | MAP_ANON | MAP_NORESERVE
        guard let mapping = mmap(nil, total, protection, flags, -1, 0), mapping != MAP_FAILED else {
            return nil
        }
        let base = mapping.alignedUp(toMultipleOf: hugePage)
        adviseHugePages(base, byteCount * KeyGroup.count)
        return Region(mapping: mapping, mappedByteCount: total, base: base)
    }

    /// A hint alone: systems without huge pages ignore it.
    private static func adviseHugePages(_ start: UnsafeMutableRawPointer, _ byteCount: Int) {
        #if os(Linux)
            madvise(start, byteCount, MADV_HUGEPAGE)
        #endif
    }
}
