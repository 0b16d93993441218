/// What a call writes to: a reference without counting, to a ``WriterStorage``.
///
/// User code may keep an encoder or a container past the call. That is harmless: storage is never
/// freed, and after the call its generation is another, so that nothing is written.
struct Writer {
    let storage: UnsafeMutablePointer<WriterStorage>
    let generation: UInt32

    init(_ storage: UnsafeMutablePointer<WriterStorage>) {
        // Safety: storage is never freed (``StoragePool``).
        self.storage = storage
        generation = storage.pointee.generation
    }

    @inline(__always) var isOpen: Bool { storage.pointee.generation == generation }

    /// Writes a value of any type where the bytes end, the common ones without a container.
    @inline(__always)
    func write<Value: Encodable>(_ value: Value, slot: Int, depth: Int32) throws {
        // Safety: each cast is between types that have been compared.
        if Value.self == String.self {
            return storage.pointee.write(unsafeBitCast(value, to: String.self))
        }
        if Value.self == Int.self {
            return storage.pointee.write(unsafeBitCast(value, to: Int.self))
        }
        if Value.self == Double.self {
            return storage.pointee.write(unsafeBitCast(value, to: Double.self))
        }
        try writeOther(value, slot: slot, depth: depth)
    }

    private func writeOther<Value: Encodable>(_ value: Value, slot: Int, depth: Int32) throws {
        // Safety: as above.
        if Value.self == [UInt8].self {
            return storage.pointee.write(unsafeBitCast(value, to: [UInt8].self))
        }
        if Value.self == [Double].self {
            return storage.pointee.write(unsafeBitCast(value, to: [Double].self))
        }
        if Value.self == [Int].self {
            return storage.pointee.write(unsafeBitCast(value, to: [Int].self))
        }
        do {
            let limit = storage.pointee.maximumDepth
            guard storage.pointee.openCount <= limit else { throw Self.tooDeep(limit) }
            try value.encode(to: ValueEncoder(writer: self, depth: depth, slot: slot))
        } catch {
            // Who catches it leaves the value out: only a tree can do that.
            if isOpen { storage.pointee.isOutOfOrder = true }
            throw error
        }
        guard isOpen else { return }
        storage.pointee.leave(to: Int(depth))
        if storage.pointee.count == slot { storage.pointee.writeEmptyMap() }
    }

    static func tooDeep(_ limit: Int) -> BinaryCodingError {
        BinaryCodingError(
            .tooDeep, "nested deeper than \(limit) levels; flatten it or raise maximumDepth")
    }

    /// Writes one whole value, by way of a tree if its containers are filled out of order.
    @inline(__always)
    func writeValue<Value: Encodable>(_ value: Value) throws(BinaryCodingError) {
        let start = storage.pointee.count
        storage.pointee.startValue()
        do {
            try write(value, slot: start, depth: 0)
            if storage.pointee.isOutOfOrder { try writeTree(of: value, at: start) }
            if storage.pointee.isTooDeep { throw Self.tooDeep(storage.pointee.maximumDepth) }
        } catch {
            storage.pointee.count = start
            throw Self.located(error)
        }
    }

    @inline(never)
    private func writeTree<Value: Encodable>(of value: Value, at start: Int) throws {
        storage.pointee.count = start
        storage.pointee.startValue()
        let root = TreeNode([], maximumDepth: storage.pointee.maximumDepth)
        try TreeEncoder(node: root).encode(value)
        guard isOpen else { return }
        root.write(to: self, depth: 0)
        storage.pointee.leave(to: 0)
    }

    @inline(never)
    private static func located(_ error: any Error) -> BinaryCodingError {
        if let error = error as? BinaryCodingError { return error }
        if case .invalidValue(_, let context)? = error as? EncodingError {
            return BinaryCodingError(
                .encodingFailed, context.debugDescription,
                codingPath: context.codingPath.map(PathKey.text), cause: error)
        }
        return BinaryCodingError(
            .encodingFailed, "encode(to:) threw: \(error)", cause: error)
    }

    /// The indexes of arrays and names of shapes that lead to the newest value, from the outside.
    func path(_ depth: Int) -> [any CodingKey] {
        guard isOpen else { return [] }
        return (0..<min(depth, storage.pointee.openCount)).map { level in
            let container = storage.pointee.open[level]
            switch container.kind {
            case .array: return PathKey.index(max(0, container.count - 1))
            case .object: return PathKey.name(storage.pointee.shapes.name(at: container.node))
            case .map: return PathKey.name("?")
            }
        }
    }
}
