/// The state of a simulated file system, without its lock.
struct SimulatedDisk: Sendable {
    var random: SimulatedRandom
    var capacity: Int?
    var nodes: [Int: SimulatedNode] = [:]
    var directories: [String: SimulatedDirectory] = ["/": .init(), ".": .init()]
    var locks: [String: Int32] = [:]
    var counts: [SimulatedFileSystem.Kind: Int] = [:]
    var total = 0
    var crashAt: Int?
    /// Handles of an earlier generation died with a crash.
    var generation = 0
    var faults: [Fault] = []
    private var nextNode = 1

    struct Fault: Sendable {
        let kind: SimulatedFileSystem.Kind
        let calls: Range<Int>
        let code: StorageError.Code
    }

    init(seed: UInt64, capacity: Int?) {
        random = SimulatedRandom(seed: seed)
        self.capacity = capacity
    }

    /// Counts an operation and throws what a test wants it to throw.
    mutating func begin(
        _ kind: SimulatedFileSystem.Kind, _ path: String, generation: Int? = nil
    ) throws(StorageError) {
        if let generation, generation != self.generation {
            throw StorageError(.crashed, path: path, action: kind.rawValue)
        }
        if let crashAt, total >= crashAt {
            throw StorageError(.crashed, path: path, action: kind.rawValue)
        }
        total += 1
        let number = counts[kind, default: 0] + 1
        counts[kind] = number
        if let fault = faults.first(where: { $0.kind == kind && $0.calls.contains(number) }) {
            throw StorageError(fault.code, path: path, action: kind.rawValue)
        }
    }

    mutating func crash() {
        for id in nodes.keys.sorted() { nodes[id]?.crash(&random) }
        for path in directories.keys.sorted() { directories[path]?.crash(&random) }
        dropUnnamedNodes()
        locks = [:]
        generation += 1
        crashAt = nil
        faults = []
    }

    private mutating func dropUnnamedNodes() {
        let named = Set(directories.values.flatMap(\.durable.values))
        for id in nodes.keys where !named.contains(id) { nodes[id] = nil }
    }

    /// Bytes of all files, as the device counts them.
    var usedBytes: Int {
        directories.values.reduce(0) { sum, directory in
            directory.current.values.reduce(sum) { $0 + (nodes[$1]?.current.count ?? 0) }
        }
    }

    func node(_ path: String) -> Int? {
        let (directory, name) = Self.split(path)
        return directories[directory]?.current[name]
    }

    mutating func makeNode(_ path: String) throws(StorageError) -> Int {
        let (directory, name) = Self.split(path)
        guard directories[directory] != nil else {
            throw StorageError(.notFound, path: path, action: "open")
        }
        let id = nextNode
        nextNode += 1
        nodes[id] = SimulatedNode()
        directories[directory]?.apply(.add(name, node: id))
        return id
    }

    mutating func rename(_ from: String, to: String) throws(StorageError) {
        let (source, name) = Self.split(from)
        let (target, newName) = Self.split(to)
        guard let node = node(from), directories[target] != nil else {
            throw StorageError(.notFound, path: from, action: "rename")
        }
        if source == target {
            directories[source]?.apply(.rename(name, to: newName))
        } else {
            directories[target]?.apply(.add(newName, node: node))
            directories[source]?.apply(.remove(name))
        }
    }

    static func split(_ path: String) -> (directory: String, name: String) {
        let bytes = path.utf8
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
        let name = String(path[bytes.index(after: slash)...])
        return (slash == path.startIndex ? "/" : String(path[..<slash]), name)
    }
}
