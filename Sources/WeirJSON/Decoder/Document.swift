/// What a decoding call works on: the bytes, their tape, and what was built for look-ups.
struct DocumentStorage {
    fileprivate(set) var tape = Tape(capacity: Self.tokensAtFirst)
    /// A copy of the document with zeros after it.
    fileprivate(set) var bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.bytesAtFirst)
    fileprivate var byteCapacity = Self.bytesAtFirst
    /// One more for each document that was here.
    fileprivate(set) var generation: UInt32 = 0
    var indexes: [[String: Int32]] = []
    let keyNames = KeyNamesTable()
    let keyMemory = KeyMemory()
    let smallStrings = SmallString.isKnown

    static let tokensAtFirst = 256
    /// A tape that has grown longer than this is not kept.
    static let tokensKept = 1 << 16
    static let bytesAtFirst = 4_096
    /// A buffer for bytes that is larger than this is not kept.
    static let bytesKept = 1 << 20
}

extension DocumentStorage {
    @inline(never)
    fileprivate mutating func resizeBytes(_ size: Int) {
        bytes.deallocate()
        bytes = .allocate(capacity: size)
        byteCapacity = size
    }
}

/// The document that is being decoded: a reference without counting, to a ``DocumentStorage``.
///
/// User code may keep a decoder or a container past the call. That is harmless: storage is never
/// freed, only used again (``DocumentPool``), and a document of another generation looks empty.
struct Document {
    let storage: UnsafeMutablePointer<DocumentStorage>
    private let generation: UInt32

    /// Copies the document to storage that is not in use, for ``scan(_:maximumDepth:)`` to read.
    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, in storage: UnsafeMutablePointer<DocumentStorage>) {
        self.storage = storage
        generation = storage.pointee.generation
        let size = bytes.count + Scanner.padding
        if size > storage.pointee.byteCapacity { storage.pointee.resizeBytes(size) }
        let copy = UnsafeMutableRawPointer(storage.pointee.bytes)
        if let source = bytes.baseAddress {
            copy.copyMemory(from: source, byteCount: bytes.count)
        }
        for offset in stride(from: 0, to: Scanner.padding, by: 8) {
            copy.storeBytes(of: 0, toByteOffset: bytes.count + offset, as: UInt64.self)
        }
    }

    @inline(__always)
    func scan(_ count: Int, maximumDepth: Int) throws(JSONError) {
        let scanner = Scanner(
            UnsafePointer(storage.pointee.bytes), count: count, maximumDepth: maximumDepth,
            memory: storage.pointee.keyMemory)
        try scanner.scan(into: &storage.pointee.tape)
    }

    /// Makes this document empty, for whoever still holds it, and its storage fit for the next.
    @inline(__always)
    func close() {
        storage.pointee.generation &+= 1
        storage.pointee.tape.removeAll()
        if !storage.pointee.indexes.isEmpty { storage.pointee.indexes = [] }
        if storage.pointee.tape.capacity > DocumentStorage.tokensKept {
            storage.pointee.tape.tokens.deallocate()
            storage.pointee.tape = Tape(capacity: DocumentStorage.tokensAtFirst)
        }
        if storage.pointee.byteCapacity > DocumentStorage.bytesKept {
            storage.pointee.resizeBytes(DocumentStorage.bytesAtFirst)
        }
    }

    @inline(__always) var isOpen: Bool { storage.pointee.generation == generation }

    @inline(__always)
    func token(_ index: Int) -> Token {
        UInt(bitPattern: index) < UInt(bitPattern: storage.pointee.tape.count) && isOpen
            ? storage.pointee.tape.tokens[index] : .absent
    }

    /// The value of the member whose key was just found at `key`.
    @inline(__always)
    func foundValue(_ key: Int) -> Token {
        // Safety: the document is open and the scanner wrote a value's token after each key's.
        storage.pointee.tape.tokens[key &+ 1]
    }

    /// The index past the value at `index`.
    @inline(__always)
    func next(after index: Int) -> Int {
        let token = token(index)
        return token.isContainer ? token.end : index + 1
    }

    @inline(__always)
    func setPayload(_ payload: UInt64, at index: Int) {
        guard index < storage.pointee.tape.count, isOpen else { return }
        storage.pointee.tape.tokens[index].payload = payload
    }

    /// The number of elements of an array or object.
    @inline(__always)
    func elements(of container: Int) -> Int { Int(token(container + 1).extentAndKind) }

    /// The bytes of a string, without its quotes, or of a number.
    @inline(__always)
    func text(of token: Token) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: storage.pointee.bytes + Int(token.offset), count: token.extent)
    }

    func index(_ number: Int) -> [String: Int32] {
        isOpen && number < storage.pointee.indexes.count ? storage.pointee.indexes[number] : [:]
    }

    /// Keeps an index and gives its number.
    func keep(_ index: [String: Int32]) -> Int {
        storage.pointee.indexes.append(index)
        return storage.pointee.indexes.count - 1
    }
}
