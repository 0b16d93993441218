/// What a decoding call works on: the bytes, their tokens, and what is known of types.
struct ReaderStorage: PooledStorage {
    /// The bytes of the document, only during a call.
    var bytes: UnsafePointer<UInt8>
    var byteCount = 0
    private let nothing: UnsafePointer<UInt8>
    private(set) var tokens = UnsafeMutablePointer<Token>.allocate(capacity: Self.tokensAtFirst)
    var count = 0
    private var capacity = Self.tokensAtFirst
    /// One more after each call, so that what user code has kept of it finds nothing.
    private(set) var generation: UInt32 = 0
    /// The containers that are being scanned.
    var open: [OpenToken] = []
    /// Indexes of the names of maps.
    var indexes: [[String: Int]] = []
    private(set) var table: ShapeTable?
    private var tables = [ShapeTable?](repeating: nil, count: Self.tablesKept)
    let keyTypes = ReadKeyTypes()

    static let shared = StoragePool<ReaderStorage>()
    static let tokensAtFirst = 256
    /// More tokens than this are not kept.
    static let tokensKept = 1 << 16
    /// How many tables of shapes are remembered, and how long they may be.
    private static let tablesKept = 64
    private static let tableBytesKept = 1 << 14

    init() {
        let nothing = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
        nothing.initialize(to: 0)
        self.nothing = UnsafePointer(nothing)
        bytes = self.nothing
    }

    @inline(__always)
    mutating func begin(_ source: UnsafeBufferPointer<UInt8>) {
        bytes = source.baseAddress ?? nothing
        byteCount = source.count
    }

    /// Makes this fit for the next value; who still holds the last one finds it empty.
    @inline(__always)
    mutating func close() {
        generation &+= 1
        count = 0
        bytes = nothing
        byteCount = 0
        if !indexes.isEmpty { indexes = [] }
        if capacity > Self.tokensKept {
            tokens.deallocate()
            tokens = .allocate(capacity: Self.tokensAtFirst)
            capacity = Self.tokensAtFirst
        }
    }

    @inline(__always)
    mutating func append(_ token: Token) {
        if count == capacity { grow() }
        (tokens + count).initialize(to: token)
        count &+= 1
    }

    @inline(never)
    private mutating func grow() {
        let larger = UnsafeMutablePointer<Token>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: tokens, count: count)
        tokens.deallocate()
        tokens = larger
        capacity *= 2
    }

    // MARK: Shapes

    /// Reads the header, and gives the offset past the number of values, and that number.
    ///
    /// A table of shapes that is known from an earlier document is found by its bytes, with all
    /// that has been learned of it.
    mutating func readHeader() throws(BinaryCodingError) -> (offset: Int, values: Int) {
        guard byteCount >= 4, bytes[0] == 0x57, bytes[1] == 0x42 else {
            throw BinaryCodingError(
                .invalidHeader, "the bytes are no binary document of Weir", byteOffset: 0)
        }
        guard bytes[2] == 1, bytes[3] == 0 else {
            throw BinaryCodingError(
                .invalidHeader, "version \(bytes[2]).\(bytes[3]) of the format is not known",
                byteOffset: 2)
        }
        var offset = Header.bytes.count
        guard let size = Varint.read(bytes, &offset, end: byteCount), size > 0,
            size <= UInt64(byteCount - offset)
        else {
            throw BinaryCodingError(
                .malformed, "the size of the shapes is cut off or too large", byteOffset: 4)
        }
        let text = UnsafeBufferPointer(start: bytes + offset, count: Int(size))
        try findTable(text, at: offset)
        offset += Int(size)
        let place = offset
        guard let values = Varint.read(bytes, &offset, end: byteCount),
            values <= UInt64(byteCount - offset)
        else {
            throw BinaryCodingError(
                .malformed, "the number of values is cut off or too large", byteOffset: place)
        }
        return (offset, Int(values))
    }

    private mutating func findTable(
        _ text: UnsafeBufferPointer<UInt8>, at offset: Int
    ) throws(BinaryCodingError) {
        if let table, Self.equal(table.bytes, text) { return }
        guard text.count <= Self.tableBytesKept else {
            table = try ShapeTable(text, at: offset)
            return
        }
        var hash: UInt64 = UInt64(text.count)
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let slot = Int(hash >> 32) & (Self.tablesKept - 1)
        if let known = tables[slot], Self.equal(known.bytes, text) {
            table = known
            return
        }
        let made = try ShapeTable(text, at: offset)
        tables[slot] = made
        table = made
    }

    @inline(__always)
    private static func equal(_ bytes: [UInt8], _ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count == text.count, let right = text.baseAddress else { return false }
        return bytes.withUnsafeBufferPointer { left in
            guard let left = left.baseAddress else { return false }
            var index = 0
            // Safety: eight bytes are left on both sides; any alignment will do.
            while index &+ 8 <= text.count {
                let one = UnsafeRawPointer(left + index).loadUnaligned(as: UInt64.self)
                let other = UnsafeRawPointer(right + index).loadUnaligned(as: UInt64.self)
                if one != other { return false }
                index &+= 8
            }
            while index < text.count {
                if left[index] != right[index] { return false }
                index &+= 1
            }
            return true
        }
    }
}
