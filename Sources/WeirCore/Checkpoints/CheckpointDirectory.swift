package import WeirJournal

/// The files of a store: which checkpoints there are, what is in them, and how one comes about.
///
/// ```
/// LOCK                              held by the run; has its process's number
/// checkpoints/000000000012/         one per checkpoint; complete once it has a MANIFEST
///     MANIFEST
///     totals.0.part                 one per stage instance
/// savepoints/NAME/                  the same, kept until removed by hand
/// ingest/SOURCE/                    what sockets have taken in
/// ```
/// Its calls block.
package struct CheckpointDirectory: Sendable {
    package let path: String
    package let files: any FileSystem
    private let cipher: (any RecordCipher)?

    package init(path: String, files: any FileSystem, cipher: (any RecordCipher)? = nil) {
        self.path = path
        self.files = files
        self.cipher = cipher
    }

    package init(_ store: StateStore) {
        self.init(path: store.path, files: store.fileSystem, cipher: store.cipher)
    }

    var checkpoints: String { "\(path)/checkpoints" }
    var savepoints: String { "\(path)/savepoints" }

    /// The state of a complete checkpoint or savepoint, to begin a run with.
    ///
    /// The process that took it may have been killed before its manifest's name was durable. What
    /// the run makes final relies on it, so it is made durable first.
    func restore(from path: String) throws -> RestoredRun {
        let restored = try RestoredRun(self, from: path)
        try files.syncDirectory(path)
        return restored
    }

    /// Makes the directories and takes the lock.
    func open() throws -> any FileLock {
        try files.createDirectory(path)
        let lock = try files.lock("\(path)/LOCK")
        try files.createDirectory(checkpoints)
        try files.createDirectory(savepoints)
        return lock
    }

    package func directory(of checkpoint: Int) -> String {
        let digits = String(checkpoint)
        return "\(checkpoints)/\(String(repeating: "0", count: max(0, 12 - digits.count)))\(digits)"
    }

    package func directory(ofSavepoint name: String) -> String { "\(savepoints)/\(name)" }

    /// The numbers of the complete checkpoints, ascending.
    package func completeCheckpoints() throws(StorageError) -> [Int] {
        guard try files.exists(checkpoints) else { return [] }
        var numbers: [Int] = []
        for name in try files.list(checkpoints) {
            guard let number = Int(name) else { continue }
            if try files.exists("\(directory(of: number))/MANIFEST") { numbers.append(number) }
        }
        return numbers.sorted()
    }

    /// The largest number that any checkpoint has had, complete or not.
    func lastNumber() throws(StorageError) -> Int {
        try files.list(checkpoints).compactMap { Int($0) }.max() ?? 0
    }

    /// Sees to it that a savepoint of this name can be taken, and removes what a crash has left of one.
    ///
    /// - Throws: ``StoreError`` when there is a complete one.
    func makeRoom(forSavepoint name: String) throws {
        let target = directory(ofSavepoint: name)
        if try files.exists("\(target)/MANIFEST") {
            throw StoreError(store: path, reason: "it has a savepoint '\(name)' already")
        }
        if try files.exists(target) { try remove(target) }
    }

    package func savepointNames() throws(StorageError) -> [String] {
        guard try files.exists(savepoints) else { return [] }
        var names: [String] = []
        for name in try files.list(savepoints)
        where try files.exists("\(directory(ofSavepoint: name))/MANIFEST") { names.append(name) }
        return names
    }

    /// - Throws: ``StoreError`` when it is damaged, `StorageError`.
    package func manifest(in directory: String) throws -> Manifest {
        let file = "\(directory)/MANIFEST"
        do throws(ManifestProblem) {
            return try Manifest.decode(try readFile(file))
        } catch {
            throw StoreError(
                store: path,
                reason: "'\(file)' can't be used: \(error); restore the file, or begin with "
                    + "another checkpoint: .directory(…, from: .checkpoint(…))")
        }
    }

    private func readFile(_ file: String) throws(ManifestProblem) -> [UInt8] {
        do throws(StorageError) {
            return try files.readFile(file)
        } catch {
            throw ManifestProblem(description: "\(error)")
        }
    }

    /// The sections of a part, checked.
    package func sections(of part: Manifest.Part, in directory: String) throws -> [PartSection] {
        var sections: [PartSection] = []
        try forEachSection(of: part, in: directory) { sections.append($0) }
        return sections
    }

    /// Reads every byte of a part; of one that is encrypted, and for which there are no keys, only
    /// the checksums are looked at.
    ///
    /// - Throws: ``StoreError`` when the file is damaged.
    func verify(_ part: Manifest.Part, in directory: String) throws {
        try read(part, in: directory) { reader throws(ManifestProblem) in
            if cipher == nil, try reader.isSealed { return try reader.checkSums() }
            return try reader.forEach { _ in true }
        }
    }

    /// Reads the sections of a part one by one, and checks those that are wanted.
    ///
    /// - Throws: ``StoreError`` when the file is damaged, and what `body` throws.
    /// - Complexity: O(size of the largest section) in memory.
    package func forEachSection(
        of part: Manifest.Part, in directory: String,
        where isWanted: ((_ id: String, _ group: Int) -> Bool)? = nil,
        _ body: (PartSection) throws -> Void
    ) throws {
        var failed: (any Error)?
        try read(part, in: directory) { reader throws(ManifestProblem) in
            let count = try reader.forEach(where: isWanted) { section in
                do {
                    try body(section)
                } catch {
                    failed = error
                }
                return failed == nil
            }
            return failed == nil ? count : nil
        }
        if let failed { throw failed }
    }

    /// Reads the file of a part.
    ///
    /// - Parameter body: Returns how many sections there were; nil when it has not read them all.
    private func read(
        _ part: Manifest.Part, in directory: String,
        _ body: (PartReader) throws(ManifestProblem) -> Int?
    ) throws {
        let file = "\(directory)/\(part.file)"
        do throws(ManifestProblem) {
            let reader = try PartReader(files, file, cipher: cipher)
            defer { reader.close() }
            guard reader.size == part.bytes else {
                throw ManifestProblem(
                    description: "it has \(reader.size) bytes, the manifest says \(part.bytes)")
            }
            if let count = try body(reader), count != part.sections {
                throw ManifestProblem(description: "it lacks sections")
            }
        } catch {
            throw StoreError(
                store: path,
                reason: "'\(file)' can't be used: \(error); restore the file, or begin with "
                    + "another checkpoint: .directory(…, from: .checkpoint(…))")
        }
    }

    /// Removes all but the newest complete checkpoints, and what was never completed.
    func prune(keeping count: Int, current: Int) throws(StorageError) {
        let kept = try completeCheckpoints().suffix(count)
        for name in try files.list(checkpoints) {
            guard let number = Int(name), !kept.contains(number), number <= current else {
                continue
            }
            try remove(directory(of: number))
        }
    }

    func remove(_ directory: String) throws(StorageError) {
        // The manifest first: what has none is no checkpoint.
        let names = try files.list(directory)
        if names.contains("MANIFEST") {
            try files.remove("\(directory)/MANIFEST")
            try files.syncDirectory(directory)
        }
        for name in names where name != "MANIFEST" { try files.remove("\(directory)/\(name)") }
        try files.remove(directory)
    }
}

/// The state with which a run begins: checked as a whole, then read section by section.
package struct RestoredRun: Sendable {
    package let manifest: Manifest
    private let directory: CheckpointDirectory
    private let path: String

    package init(_ directory: CheckpointDirectory, from path: String) throws {
        self.directory = directory
        self.path = path
        manifest = try directory.manifest(in: path)
        for part in manifest.parts { try directory.forEachSection(of: part, in: path) { _ in } }
    }

    /// Reads what the instances of a stage had.
    package func forEachSection(
        of stage: String,
        where isWanted: @escaping (_ instance: Int, _ id: String, _ group: Int) -> Bool,
        _ body: (_ instance: Int, PartSection) throws -> Void
    ) throws {
        for part in manifest.parts where part.stage == stage {
            try directory.forEachSection(
                of: part, in: path, where: { isWanted(part.instance, $0, $1) }
            ) { try body(part.instance, $0) }
        }
    }

    package func parts(of stage: String) -> [Manifest.Part] {
        manifest.parts.filter { $0.stage == stage }
    }
}
