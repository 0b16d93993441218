/// A container that is open while its values are written.
struct OpenContainer {
    enum Kind {
        case object, map, array
    }

    var kind: Kind
    /// The tag of a run of numbers, or 0 in an array of any values.
    var run: UInt8 = 0
    /// How many bytes are kept free for the header.
    let reserved: UInt8
    let serial: UInt32
    /// The place in the trie of shapes.
    var node: UInt32 = 0
    /// The set of names that a map has so far plus one, or 0 if they need no check.
    var names: Int32 = 0
    var count = 0
    /// Where the header starts.
    let start: Int
    /// Where the newest value has to start, or −1 if it has been written.
    var slot = -1
    let keys: UnsafeMutablePointer<WrittenKeys>?
}

/// The bytes that are being written, the containers open in them, and what is known of types.
///
/// Containers write where the bytes end, so they have to be filled one after the other, as nearly
/// all `encode(to:)` do it. If one is not, ``isOutOfOrder`` is set, and the value is encoded again
/// by way of a tree.
struct WriterStorage: PooledStorage {
    fileprivate(set) var bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.bytesAtFirst)
    fileprivate var capacity = Self.bytesAtFirst
    var count = 0
    var open = UnsafeMutablePointer<OpenContainer>.allocate(capacity: 16)
    private var openCapacity = 16
    var openCount = 0
    private var serials: UInt32 = 0
    /// One more after each call, so that what user code has kept of it writes nothing.
    var generation: UInt32 = 0
    var isOutOfOrder = false
    var isTooDeep = false
    var maximumDepth = 128
    var names: [Set<String>] = []
    var shapes = ShapeTrie()
    let keyTypes = WrittenKeyTypes()

    static let shared = StoragePool<WriterStorage>()
    static let bytesAtFirst = 4_096
    /// A buffer that is larger than this is not kept.
    static let bytesKept = 1 << 20

    /// Forgets the bytes and shapes of the last document.
    mutating func reset(maximumDepth: Int) {
        if capacity > Self.bytesKept {
            bytes.deallocate()
            bytes = .allocate(capacity: Self.bytesAtFirst)
            capacity = Self.bytesAtFirst
        }
        self.maximumDepth = maximumDepth
        count = 0
        shapes.startDocument()
        startValue()
    }

    @inline(__always)
    mutating func startValue() {
        openCount = 0
        isOutOfOrder = false
        isTooDeep = false
        if !names.isEmpty { names.removeAll() }
    }

    // MARK: Bytes

    @inline(__always)
    mutating func reserve(_ more: Int) {
        if count &+ more > capacity { grow(more) }
    }

    @inline(never)
    private mutating func grow(_ more: Int) {
        let size = max(capacity * 2, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
        larger.update(from: bytes, count: count)
        bytes.deallocate()
        bytes = larger
        capacity = size
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        reserve(1)
        bytes[count] = byte
        count &+= 1
    }

    @inline(__always)
    mutating func append(_ source: UnsafeBufferPointer<UInt8>) {
        guard let start = source.baseAddress else { return }
        reserve(source.count)
        (bytes + count).update(from: start, count: source.count)
        count &+= source.count
    }

    @inline(__always)
    mutating func appendVarint(_ value: UInt64) {
        reserve(Varint.countMaximum)
        count &+= Varint.write(value, to: bytes + count)
    }

    @inline(__always)
    mutating func append<Value: FixedWidthInteger>(littleEndian value: Value) {
        reserve(MemoryLayout<Value>.size)
        UnsafeMutableRawPointer(bytes + count).storeBytes(of: value.littleEndian, as: Value.self)
        count &+= MemoryLayout<Value>.size
    }

    /// Moves what follows `place` by so many bytes, to the end of the document.
    @inline(never)
    mutating func shift(from place: Int, by distance: Int) {
        if distance > 0 { reserve(distance) }
        (bytes + place + distance).update(from: bytes + place, count: count - place)
        count += distance
    }

    @inline(__always)
    mutating func set(_ byte: UInt8, at place: Int) { bytes[place] = byte }

    // MARK: Containers

    @inline(__always)
    mutating func push(
        _ kind: OpenContainer.Kind, reserved: UInt8, keys: UnsafeMutablePointer<WrittenKeys>?
    ) -> UInt32 {
        if openCount == openCapacity { growOpen() }
        if openCount >= maximumDepth { isTooDeep = true }
        serials &+= 1
        (open + openCount).initialize(
            to: OpenContainer(
                kind: kind, reserved: reserved, serial: serials, start: count, keys: keys))
        openCount &+= 1
        reserve(8)
        count &+= Int(reserved)
        return serials
    }

    @inline(never)
    private mutating func growOpen() {
        let larger = UnsafeMutablePointer<OpenContainer>.allocate(capacity: openCapacity * 2)
        larger.moveInitialize(from: open, count: openCapacity)
        open.deallocate()
        open = larger
        openCapacity *= 2
    }
}
