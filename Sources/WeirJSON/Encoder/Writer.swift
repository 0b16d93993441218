/// The text of the document that is being encoded, and the containers that are open in it.
///
/// Containers write where the text ends, so they have to be filled one after the other, as nearly
/// all `encode(to:)` do it. If one is not, ``isOutOfOrder`` is set, and the value is encoded again
/// by way of a tree.
final class Writer {
    struct Container {
        let isObject: Bool
        let serial: UInt32
        var count = 0
        /// Where the text of the newest key starts, with its quote.
        var key = 0
        /// Where the value of the newest key or element has to start.
        var slot = 0
        /// The keys that were written, of those that a byte below 64 tells apart: a bit each.
        var bytes: UInt64 = 0
        /// The number of the set of names that were written, from 1; 0 for none.
        var names = 0
    }

    private var bytes: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0
    private var open: [Container] = []
    private var serials: UInt32 = 0
    private(set) var isOutOfOrder = false
    /// Names that open objects have, where bytes don't tell their keys apart.
    private var names: [Set<String>] = []
    /// The type of the keys of the object that was opened last.
    private(set) var keys: Any.Type?

    init(capacity: Int = 512) {
        bytes = .allocate(capacity: capacity)
        self.capacity = capacity
    }

    deinit { bytes.deallocate() }

    var text: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: bytes, count: count) }

    /// The number of containers that are open.
    var depth: Int { open.count }

    // MARK: Containers

    /// Opens a container where a value has to start at `slot`, or gives nil if it has another.
    func enter(isObject: Bool, slot: Int, keys: Any.Type? = nil) -> UInt32 {
        self.keys = keys
        if count != slot { isOutOfOrder = true }
        serials += 1
        open.append(Container(isObject: isObject, serial: serials))
        append(isObject ? UInt8(ascii: "{") : UInt8(ascii: "["))
        return serials
    }

    /// Makes the container at a depth the innermost, ready for one more element.
    @inline(__always)
    func next(in depth: Int, serial: UInt32) {
        if open.count > depth + 1 { leave(to: depth + 1) }
        guard depth < open.count, open[depth].serial == serial else {
            isOutOfOrder = true
            return
        }
        if open[depth].count > 0 {
            if open[depth].slot == count { isOutOfOrder = true }
            append(UInt8(ascii: ","))
        }
        open[depth].count += 1
        open[depth].slot = count
    }

    @inline(__always)
    func next<Key: CodingKey>(_ key: Key, in depth: Int, serial: UInt32) {
        next(key.stringValue, in: depth, serial: serial)
        if depth < open.count { note(key, depth) }
    }

    /// Sees to it that of equal keys the last counts, as in a tree.
    @inline(__always)
    private func note<Key: CodingKey>(_ key: Key, _ depth: Int) {
        // Safety: the size has been compared.
        let byte =
            MemoryLayout<Key>.size == 1
            ? unsafeBitCast(key, to: UInt8.self) : MemoryLayout<Key>.size == 0 ? 0 : UInt8.max
        guard byte < 64 else { return noteName(key, depth) }
        let bit: UInt64 = 1 << UInt64(byte)
        if open[depth].bytes & bit != 0 { isOutOfOrder = true }
        open[depth].bytes |= bit
    }

    @inline(never)
    private func noteName<Key: CodingKey>(_ key: Key, _ depth: Int) {
        if Key.self == Self.dictionaryKeys { return }
        if open[depth].names == 0 {
            names.append([])
            open[depth].names = names.count
        }
        let set = open[depth].names - 1
        if set < names.count, !names[set].insert(key.stringValue).inserted { isOutOfOrder = true }
    }

    /// The keys of a Dictionary, whose names are known to differ.
    private static let dictionaryKeys: Any.Type? = {
        let writer = Writer()
        try? [String: Bool]().encode(to: ValueEncoder(writer: writer, slot: 0, depth: 0))
        return writer.keys
    }()

    @inline(__always)
    func next(_ key: String, in depth: Int, serial: UInt32) {
        next(in: depth, serial: serial)
        guard depth < open.count else { return }
        open[depth].key = count
        write(key)
        append(UInt8(ascii: ":"))
        open[depth].slot = count
    }

    /// Closes containers until so many are left.
    func leave(to depth: Int) {
        while open.count > depth {
            let last = open.removeLast()
            if last.names > 0, last.names == names.count { names.removeLast() }
            if last.count > 0, last.slot == count { writeEmptyObject() }
            append(last.isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
        }
    }

    func elements(in depth: Int, serial: UInt32) -> Int {
        depth < open.count && open[depth].serial == serial ? open[depth].count : 0
    }

    func markOutOfOrder() { isOutOfOrder = true }

    func writeEmptyObject() {
        append(UInt8(ascii: "{"))
        append(UInt8(ascii: "}"))
    }

    /// The keys and indexes that lead to the newest element of the container at `depth`.
    func path(_ depth: Int) -> [any CodingKey] {
        open.prefix(depth).map { container in
            guard container.isObject else { return PathKey.index(max(0, container.count - 1)) }
            let quoted = text[container.key..<max(container.key, container.slot - 1)]
            let name = try? JSONEventDecoder().decode(String.self, from: quoted)
            return PathKey.name(name ?? "")
        }
    }

    // MARK: Text

    @inline(__always)
    func append(_ byte: UInt8) {
        reserve(1)
        bytes[count] = byte
        count += 1
    }

    @inline(__always)
    func reserve(_ more: Int) {
        if count + more > capacity { grow(more) }
    }

    @inline(never)
    private func grow(_ more: Int) {
        let size = max(capacity * 2, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
        larger.update(from: bytes, count: count)
        bytes.deallocate()
        bytes = larger
        capacity = size
    }

    func write(_ literal: StaticString) {
        append(UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    func append(_ source: UnsafeBufferPointer<UInt8>) {
        guard let start = source.baseAddress else { return }
        reserve(source.count)
        (bytes + count).update(from: start, count: source.count)
        count += source.count
    }

    /// Writes digits from the last to the first, for which there must be room.
    @inline(__always)
    func writeDigits(_ digits: Int, _ digit: (Int) -> UInt8) {
        var place = count + digits
        while place > count {
            place -= 1
            bytes[place] = digit(place)
        }
        count += digits
    }

    func appendVerbatim(_ text: String) {
        var text = text
        text.withUTF8 { append($0) }
    }

    /// Writes a string in quotes, with the escapes that RFC 8259 requires.
    @inline(__always)
    func write(_ string: String) {
        var string = string
        string.withUTF8 { source in
            reserve(source.count + 2)
            bytes[count] = UInt8(ascii: "\"")
            count += 1
            guard let start = source.baseAddress else { return append(UInt8(ascii: "\"")) }
            let output = bytes + count
            var index = 0
            while index < source.count {
                let byte = start[index]
                if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                    return writeRest(source, from: index)
                }
                output[index] = byte
                index += 1
            }
            output[index] = UInt8(ascii: "\"")
            count += index + 1
        }
    }

    @inline(never)
    private func writeRest(_ source: UnsafeBufferPointer<UInt8>, from first: Int) {
        count += first
        for byte in source[first...] {
            switch byte {
            case UInt8(ascii: "\""): write("\\\"" as StaticString)
            case UInt8(ascii: "\\"): write("\\\\" as StaticString)
            case 0x08: write("\\b" as StaticString)
            case 0x09: write("\\t" as StaticString)
            case 0x0A: write("\\n" as StaticString)
            case 0x0C: write("\\f" as StaticString)
            case 0x0D: write("\\r" as StaticString)
            case 0..<0x20:
                write(byte < 0x10 ? "\\u000" : "\\u001" as StaticString)
                append((byte & 15) < 10 ? 0x30 + (byte & 15) : 0x57 + (byte & 15))
            default: append(byte)
            }
        }
        append(UInt8(ascii: "\""))
    }
}
