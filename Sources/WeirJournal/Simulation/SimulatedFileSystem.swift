internal import Synchronization

/// A disk in memory that loses what was not synchronized and fails when a test wants it to.
///
/// Deterministic: the same seed and the same calls give the same bytes. Directories themselves
/// are durable at once; names in them and bytes of files only when synchronized.
package final class SimulatedFileSystem: FileSystem {
    /// What can be counted and made to fail; the raw value is the error's action.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case createDirectory = "create directory"
        case open, list, rename, remove, lock, read, write, allocate, truncate, synchronize
        case exists = "look up"
        case syncDirectory = "synchronize directory"
    }

    private let disk: Mutex<SimulatedDisk>

    /// A number that ``FileSystem/lock(_:)`` reports as the holder.
    package let processNumber: Int32

    /// An empty disk.
    ///
    /// - Parameters:
    ///   - seed: Decides what survives failures.
    ///   - capacity: Bytes of all files together past which writes fail with `.noSpace`.
    package init(seed: UInt64 = 1, capacity: Int? = nil, processNumber: Int32 = 4711) {
        disk = Mutex(SimulatedDisk(seed: seed, capacity: capacity))
        self.processNumber = processNumber
    }

    private init(disk: SimulatedDisk, processNumber: Int32) {
        self.disk = Mutex(disk)
        self.processNumber = processNumber
    }

    /// Operations since the disk was made, those that failed included.
    package var operationCount: Int { disk.withLock { $0.total } }

    /// Operations of one kind.
    package func operationCount(_ kind: Kind) -> Int { disk.withLock { $0.counts[kind] ?? 0 } }

    /// Bytes of all files together.
    package var usedBytes: Int { disk.withLock { $0.usedBytes } }

    /// Sets the capacity; `nil` is without bound.
    package func setCapacity(_ bytes: Int?) { disk.withLock { $0.capacity = bytes } }

    /// Makes calls of a kind fail, the first of them after `skipping` more that succeed.
    ///
    /// A write that fails may be done in part; a failed synchronize loses any of the changes.
    package func fail(
        _ kind: Kind, with code: StorageError.Code, skipping: Int = 0, times: Int = 1
    ) {
        disk.withLock { disk in
            let first = (disk.counts[kind] ?? 0) + skipping + 1
            let end = first.addingReportingOverflow(times)
            disk.faults.append(
                .init(
                    kind: kind, calls: first..<(end.overflow ? .max : end.partialValue),
                    code: code))
        }
    }

    /// Forgets what was to fail.
    package func clearFaults() { disk.withLock { $0.faults = [] } }

    /// Every call after so many more throws `.crashed`, until ``crash(seed:)``.
    package func crashAfter(operations: Int) {
        disk.withLock { $0.crashAt = $0.total + operations }
    }

    /// Whether the operations of ``crashAfter(operations:)`` are over, and all calls throw.
    package var hasStopped: Bool {
        disk.withLock { disk in disk.crashAt.map { disk.total >= $0 } ?? false }
    }

    /// Stops the machine and starts it again: what was not synchronized is lost, kept or torn.
    ///
    /// Open files throw `.crashed` from now on; locks are free; faults are forgotten.
    package func crash(seed: UInt64) {
        disk.withLock { disk in
            disk.random = SimulatedRandom(seed: seed)
            disk.crash()
        }
    }

    /// Kills the process alone: locks are free and open files dead, but nothing is lost.
    package func kill() {
        disk.withLock { disk in
            disk.locks = [:]
            disk.generation += 1
            disk.crashAt = nil
        }
    }

    /// A copy that goes its own way: the disk as it is now, files that are open left out.
    package func fork() -> SimulatedFileSystem {
        var copy = disk.withLock { $0 }
        copy.generation += 1
        copy.locks = [:]
        return SimulatedFileSystem(disk: copy, processNumber: processNumber)
    }

    /// Flips one bit of a file, on disk and in the cache.
    package func corrupt(_ path: String, bit: Int) {
        disk.withLock { disk in
            if let node = disk.node(path) { disk.nodes[node]?.flip(bit: bit) }
        }
    }

    package func createDirectory(_ path: String) throws(StorageError) {
        try disk.withLock { (disk) throws(StorageError) in
            try disk.begin(.createDirectory, path)
            var path = path
            while disk.directories[path] == nil {
                disk.directories[path] = SimulatedDirectory()
                path = Self.parent(of: path)
            }
        }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any StoredFile {
        try disk.withLock { (disk) throws(StorageError) -> any StoredFile in
            try disk.begin(.open, path)
            let node: Int
            if let existing = disk.node(path) {
                if mode == .createNew {
                    throw StorageError(.alreadyExists, path: path, action: "open")
                }
                node = existing
            } else if mode == .read {
                throw StorageError(.notFound, path: path, action: "open")
            } else {
                node = try disk.makeNode(path)
            }
            return SimulatedFile(
                self, node: node, generation: disk.generation, path: path,
                isWritable: mode != .read)
        }
    }

    package func list(_ directory: String) throws(StorageError) -> [String] {
        try disk.withLock { (disk) throws(StorageError) in
            try disk.begin(.list, directory)
            guard let entries = disk.directories[directory] else {
                throw StorageError(.notFound, path: directory, action: "list")
            }
            let folders = disk.directories.keys.filter {
                $0 != directory && Self.parent(of: $0) == directory
            }
            return (Array(entries.current.keys) + folders.map { SimulatedDisk.split($0).name })
                .sorted()
        }
    }

    package func exists(_ path: String) throws(StorageError) -> Bool {
        try disk.withLock { (disk) throws(StorageError) in
            try disk.begin(.exists, path)
            return disk.node(path) != nil || disk.directories[path] != nil
        }
    }

    package func rename(_ from: String, to: String) throws(StorageError) {
        try disk.withLock { (disk) throws(StorageError) in
            try disk.begin(.rename, from)
            try disk.rename(from, to: to)
        }
    }

    package func remove(_ path: String) throws(StorageError) {
        try disk.withLock { (disk) throws(StorageError) in
            try disk.begin(.remove, path)
            if let entries = disk.directories[path], entries.current.isEmpty {
                disk.directories[path] = nil
                return
            }
            guard disk.node(path) != nil else {
                throw StorageError(.notFound, path: path, action: "remove")
            }
            let (directory, name) = SimulatedDisk.split(path)
            disk.directories[directory]?.apply(.remove(name))
        }
    }

    package func syncDirectory(_ path: String) throws(StorageError) {
        try disk.withLock { (disk) throws(StorageError) in
            try disk.begin(.syncDirectory, path)
            disk.directories[path]?.synchronize()
        }
    }

    package func lock(_ path: String) throws(StorageError) -> any FileLock {
        try disk.withLock { (disk) throws(StorageError) -> any FileLock in
            try disk.begin(.lock, path)
            if let owner = disk.locks[path] {
                throw StorageError(.locked(by: owner), path: path, action: "lock")
            }
            if disk.node(path) == nil { _ = try disk.makeNode(path) }
            disk.locks[path] = processNumber
            return SimulatedLock(self, path: path, generation: disk.generation)
        }
    }

    func release(_ path: String, generation: Int) {
        disk.withLock { disk in
            if generation == disk.generation { disk.locks[path] = nil }
        }
    }

    func with<Result: Sendable>(
        _ file: SimulatedFile, _ kind: Kind,
        _ body: (inout SimulatedDisk, inout SimulatedNode) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        try disk.withLock { (disk) throws(StorageError) -> Result in
            try disk.begin(kind, file.path, generation: file.generation)
            var node = disk.nodes[file.node] ?? SimulatedNode()
            disk.nodes[file.node] = nil
            defer { disk.nodes[file.node] = node }
            return try body(&disk, &node)
        }
    }

    /// What a call leaves behind when it is made to fail.
    func fail(_ file: SimulatedFile, _ body: (inout SimulatedNode, inout SimulatedRandom) -> Void) {
        disk.withLock { disk in
            guard file.generation == disk.generation, var node = disk.nodes[file.node] else {
                return
            }
            body(&node, &disk.random)
            disk.nodes[file.node] = node
        }
    }
}
