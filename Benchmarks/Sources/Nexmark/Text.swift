import Foundation
import Synchronization
package import Weir

/// A text in memory that stays for the life of the process: eight bytes to copy, no reference
/// counting, no allocation.
///
/// The generator's texts are pieces of a few blocks that it makes once, and those of a file pieces
/// of the mapped file, so that an event is plain memory. It compares and hashes by its bytes.
package struct Text: Sendable {
    /// The address above, the length in the lowest 16 bits.
    private let bits: UInt64

    /// The longest text in bytes.
    package static let longest = 65_535

    /// No character.
    package init() { bits = 0 }

    /// A text of at most ``longest`` bytes; what is longer is cut off.
    ///
    /// - Parameter bytes: Memory that is never freed nor written again.
    init(staying bytes: UnsafeBufferPointer<UInt8>) {
        let count = min(bytes.count, Self.longest)
        guard let base = bytes.baseAddress, count > 0 else {
            bits = 0
            return
        }
        bits = UInt64(UInt(bitPattern: base)) << 16 | UInt64(count)
    }

    /// A copy of a string, which stays.
    package init(_ string: some StringProtocol) {
        self = TextArena.shared.withLock { $0.add(string.utf8) }
    }

    /// The length in bytes.
    package var count: Int { Int(bits & 0xffff) }

    /// The bytes, UTF-8.
    @inline(__always)
    package var bytes: UnsafeBufferPointer<UInt8> {
        // Safety: `init(staying:)` asks for memory that stays; addresses have 48 bits.
        UnsafeBufferPointer(
            start: UnsafePointer(bitPattern: UInt(bits >> 16)), count: count)
    }

    /// The text from one place up to another.
    @inline(__always)
    package func slice(_ range: Range<Int>) -> Text {
        Text(staying: UnsafeBufferPointer(rebasing: bytes[range]))
    }
}

extension Text: Hashable {
    @inline(__always)
    package static func == (left: Text, right: Text) -> Bool {
        if left.bits == right.bits { return true }
        guard left.count == right.count, let first = left.bytes.baseAddress,
            let second = right.bytes.baseAddress
        else { return false }
        return memcmp(first, second, left.count) == 0
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
    }
}

extension Text: StableHashable {
    package func stableHash(into hasher: inout StableHasher) {
        let raw = UnsafeRawBufferPointer(bytes)
        var offset = 0
        while offset + 8 <= raw.count {
            hasher.combine(raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var rest = UInt64(raw.count)
        while offset < raw.count {
            rest = rest << 8 | UInt64(raw[offset])
            offset += 1
        }
        hasher.combine(rest)
    }
}

extension Text: Codable {
    package init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Text: CustomStringConvertible, ExpressibleByStringLiteral {
    package init(stringLiteral string: String) { self.init(string) }

    package var description: String { String(decoding: bytes, as: UTF8.self) }
}

/// Memory that texts are put into, one behind the other; it is never freed.
struct TextArena: ~Copyable {
    // Safety: one owner at a time writes behind `used`; what stands before it is never written again.
    private var block = UnsafeMutableBufferPointer<UInt8>(start: nil, count: 0)
    private var used = 0
    private static let blockSize = 1 << 20

    static let shared = Mutex(TextArena())

    init() {}

    /// Room for at most `count` bytes, to be closed by ``finish(_:)``.
    mutating func room(_ count: Int) -> UnsafeMutableBufferPointer<UInt8> {
        if block.count - used < count {
            block = .allocate(capacity: max(count, Self.blockSize))
            used = 0
        }
        return UnsafeMutableBufferPointer(rebasing: block[used..<used + count])
    }

    /// Makes a text of the first bytes of the room.
    mutating func finish(_ count: Int) -> Text {
        let text = Text(staying: UnsafeBufferPointer(rebasing: block[used..<used + count]))
        used += count
        return text
    }

    mutating func add(_ bytes: some Collection<UInt8>) -> Text {
        let count = min(bytes.count, Text.longest)
        let room = room(count)
        for (index, byte) in bytes.prefix(count).enumerated() { room[index] = byte }
        return finish(count)
    }
}

// Safety: the block belongs to whoever has the arena, and is reached by nobody else.
extension TextArena: @unchecked Sendable {}
