internal import Synchronization

/// An open file of a ``SimulatedFileSystem``.
final class SimulatedFile: StoredFile {
    let node: Int
    let generation: Int
    let path: String
    private let system: SimulatedFileSystem
    private let isWritable: Bool
    private let isClosed = Atomic(false)

    init(
        _ system: SimulatedFileSystem, node: Int, generation: Int, path: String, isWritable: Bool
    ) {
        self.system = system
        self.node = node
        self.generation = generation
        self.path = path
        self.isWritable = isWritable
    }

    func read(
        at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(StorageError) -> Int {
        try check(writing: false, "read")
        return try system.with(self, .read) { (_, node) throws(StorageError) in
            let count = max(0, min(buffer.count, node.current.count - offset))
            node.current.withUnsafeBytes { bytes in
                if count > 0 {
                    buffer.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)]))
                }
            }
            return count
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StorageError) {
        try check(writing: true, "write")
        let content = Array(bytes)
        do throws(StorageError) {
            try system.with(self, .write) { (disk, node) throws(StorageError) in
                // `with` took the node out of the disk, so its bytes are not counted as used.
                let room = disk.capacity.map { $0 - disk.usedBytes } ?? .max
                if room >= max(node.current.count, offset + content.count) {
                    return node.apply(.write(offset: offset, bytes: content))
                }
                if room > offset {
                    node.apply(.write(offset: offset, bytes: Array(content[..<(room - offset)])))
                }
                throw StorageError(.noSpace, path: path, action: "write")
            }
        } catch {
            // An injected fault: some bytes may have been written before it.
            if error.code == .io || error.code == .noSpace {
                system.fail(self) { node, random in
                    let size = min(node.current.count, offset + content.count) - offset
                    let kept = random.below(max(0, size) + 1)
                    node.apply(.write(offset: offset, bytes: Array(content[..<kept])))
                }
            }
            throw error
        }
    }

    func allocate(_ size: Int) throws(StorageError) {
        try check(writing: true, "allocate")
        try system.with(self, .allocate) { (disk, node) throws(StorageError) in
            let room = disk.capacity.map { $0 - disk.usedBytes } ?? .max
            guard room >= size else {
                throw StorageError(.noSpace, path: path, action: "allocate")
            }
            if size > node.current.count { node.apply(.extend(size)) }
        }
    }

    func truncate(to size: Int) throws(StorageError) {
        try check(writing: true, "truncate")
        try system.with(self, .truncate) { (_, node) throws(StorageError) in
            node.apply(.resize(size))
        }
    }

    func synchronize() throws(StorageError) {
        try check(writing: false, "synchronize")
        do throws(StorageError) {
            try system.with(self, .synchronize) { (_, node) throws(StorageError) in
                node.synchronize()
            }
        } catch {
            if error.code != .crashed {
                system.fail(self) { $0.failToSynchronize(&$1) }
            }
            throw error
        }
    }

    var size: Int {
        get throws(StorageError) {
            try check(writing: false, "look up")
            return try system.with(self, .exists) { (_, node) throws(StorageError) in
                node.current.count
            }
        }
    }

    func close() { isClosed.store(true, ordering: .releasing) }

    private func check(writing: Bool, _ action: String) throws(StorageError) {
        if isClosed.load(ordering: .acquiring) {
            throw StorageError(.closed, path: path, action: action)
        }
        if writing, !isWritable { throw StorageError(.denied, path: path, action: action) }
    }
}

/// A held lock of a ``SimulatedFileSystem``.
final class SimulatedLock: FileLock {
    private let system: SimulatedFileSystem
    private let path: String
    private let generation: Int

    init(_ system: SimulatedFileSystem, path: String, generation: Int) {
        self.system = system
        self.path = path
        self.generation = generation
    }

    deinit { release() }

    func release() { system.release(path, generation: generation) }
}
