/// The value that is being decoded: a reference without counting, to a ``ReaderStorage``.
///
/// User code may keep a decoder or a container past the call. That is harmless: storage is never
/// freed, only used again (``StoragePool``), and a value of another generation looks empty.
struct Document {
    let storage: UnsafeMutablePointer<ReaderStorage>
    let generation: UInt32

    init(_ storage: UnsafeMutablePointer<ReaderStorage>) {
        // Safety: storage is never freed.
        self.storage = storage
        generation = storage.pointee.generation
    }

    @inline(__always) var isOpen: Bool { storage.pointee.generation == generation }

    @inline(__always)
    func token(_ index: Int) -> Token {
        // Safety: an index below the count, without a sign, is within the tokens.
        UInt(bitPattern: index) < UInt(bitPattern: storage.pointee.count) && isOpen
            ? storage.pointee.tokens[index] : .absent
    }

    @inline(__always)
    func token(_ place: Place) -> Token {
        place.element < 0 ? token(Int(place.token)) : element(at: place)
    }

    /// An element of a run.
    private func element(at place: Place) -> Token {
        let run = token(Int(place.token))
        guard run.kind == .run else { return .absent }
        var offset = Int(place.element)
        return Token.element(
            ofRun: UInt8(truncatingIfNeeded: run.detail), storage.pointee.bytes, &offset,
            end: storage.pointee.byteCount) ?? .absent
    }

    /// The index past the value at `index`.
    @inline(__always)
    func next(after index: Int) -> Int {
        let token = token(index)
        return token.isContainer ? Int(token.extent) : index &+ 1
    }

    @inline(__always)
    private func setPayload(_ payload: UInt64, at index: Int) {
        guard index < storage.pointee.count, isOpen else { return }
        storage.pointee.tokens[index].payload = payload
    }

    @inline(__always)
    func text(of token: Token) -> UnsafeBufferPointer<UInt8> {
        // Safety: the scanner has found the text within the bytes, which are there while the
        // document is open; a token of a closed one is `.absent`, with no text.
        UnsafeBufferPointer(
            start: storage.pointee.bytes + Int(token.offset), count: Int(token.extent))
    }

    // MARK: Members

    /// The index of the value of a member of an object, or −1 if it is absent.
    @inline(__always)
    func member(_ field: Int, of object: Int) -> Int {
        let header = token(object)
        guard header.kind == .object else { return -1 }
        var value = object &+ 1 &+ field
        if header.detail & Token.flat == 0 {
            value = Int(header.payload >> 32)
            if header.elements != field { value = walk(to: field, of: object, header) }
            let after = UInt64(truncatingIfNeeded: next(after: value)) << 32
            setPayload(after | UInt64(truncatingIfNeeded: field &+ 1), at: object)
        }
        return token(value).kind == .absent ? -1 : value
    }

    @inline(never)
    private func walk(to field: Int, of object: Int, _ header: Token) -> Int {
        var (value, place) = (object + 1, 0)
        if header.elements < field { (value, place) = (Int(header.payload >> 32), header.elements) }
        while place < field, value < Int(header.extent) {
            value = next(after: value)
            place += 1
        }
        return value
    }

    /// The index of the value of a member of a keyed value, or −1.
    @inline(never)
    func find(_ name: String, in keyed: Int) -> Int {
        let header = token(keyed)
        switch header.kind {
        case .object:
            guard let field = storage.pointee.table?.field(name, of: header.shape) else {
                return -1
            }
            return member(field, of: keyed)
        case .map: return findInMap(name, keyed, header)
        default: return -1
        }
    }

    private static let searchedMaximum = 8

    /// The index of the value of a member of a map, or −1; of equal names the first counts.
    ///
    /// Names that are asked for in the order of the document are found at once; among many, others
    /// are found by an index.
    private func findInMap(_ name: String, _ map: Int, _ header: Token) -> Int {
        var name = name
        return name.withUTF8 { text in
            let cursor = Int(header.payload >> 32)
            if cursor < Int(header.extent), equals(cursor, text) {
                let after = UInt64(truncatingIfNeeded: next(after: cursor + 1)) << 32
                setPayload(after | UInt64(header.elements), at: map)
                return cursor + 1
            }
            if header.elements > Self.searchedMaximum {
                return index(of: map, header)[String(decoding: text, as: UTF8.self)] ?? -1
            }
            var key = map + 1
            while key < Int(header.extent) {
                if equals(key, text) { return key + 1 }
                key = next(after: key + 1)
            }
            return -1
        }
    }

    @inline(__always)
    private func equals(_ key: Int, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        let token = token(key)
        guard Int(token.extent) == name.count else { return false }
        guard let left = name.baseAddress else { return true }
        let right = storage.pointee.bytes + Int(token.offset)
        var index = 0
        // Safety: eight bytes are left on both sides; any alignment will do.
        while index &+ 8 <= name.count {
            let one = UnsafeRawPointer(left + index).loadUnaligned(as: UInt64.self)
            if one != UnsafeRawPointer(right + index).loadUnaligned(as: UInt64.self) {
                return false
            }
            index &+= 8
        }
        while index < name.count {
            if left[index] != right[index] { return false }
            index &+= 1
        }
        return true
    }

    private func index(of map: Int, _ header: Token) -> [String: Int] {
        if header.detail > 0 { return storage.pointee.indexes[Int(header.detail) - 1] }
        var index: [String: Int] = [:]
        index.reserveCapacity(header.elements)
        forEachName(of: map) { name, value in
            if index[name] == nil { index[name] = value }
        }
        storage.pointee.indexes.append(index)
        storage.pointee.tokens[map].detail = UInt32(storage.pointee.indexes.count)
        return index
    }

    /// Calls `body` with the name and the index of the value of each member that is not absent.
    func forEachName(of keyed: Int, _ body: (String, Int) -> Void) {
        let header = token(keyed)
        var value = keyed + 1
        if header.kind == .map {
            while value < Int(header.extent) {
                let text = text(of: token(value))
                body(Self.ascii(text) ?? String(decoding: text, as: UTF8.self), value + 1)
                value = next(after: value + 1)
            }
        } else if header.kind == .object {
            var field = 0
            while value < Int(header.extent) {
                if token(value).kind != .absent {
                    body(storage.pointee.table?.name(field, of: header.shape) ?? "", value)
                }
                value = next(after: value)
                field += 1
            }
        }
    }
}
