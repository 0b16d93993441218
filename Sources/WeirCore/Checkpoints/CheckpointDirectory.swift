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

    /// - Throws: ``StoreError`` when there is a savepoint of this name.
    func refuse(_ savepoint: String) throws {
        guard try files.exists("\(directory(ofSavepoint: savepoint))/MANIFEST") else { return }
        throw StoreError(store: path, reason: "it has a savepoint '\(savepoint)' already")
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
        let file = "\(directory)/\(part.file)"
        do throws(ManifestProblem) {
            let bytes = try readFile(file)
            guard bytes.count == part.bytes else {
                throw ManifestProblem(
                    description: "it has \(bytes.count) bytes, the manifest says \(part.bytes)")
            }
            let sections = try PartSection.read(bytes, cipher: cipher)
            guard sections.count == part.sections else {
                throw ManifestProblem(description: "it lacks sections")
            }
            return sections
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

/// The state with which a run begins.
package struct RestoredRun: Sendable {
    package let manifest: Manifest
    /// Of each stage, what its instances had.
    package let sections: [String: [(instance: Int, section: PartSection)]]

    package init(_ directory: CheckpointDirectory, from path: String) throws {
        manifest = try directory.manifest(in: path)
        var sections: [String: [(instance: Int, section: PartSection)]] = [:]
        for part in manifest.parts {
            for section in try directory.sections(of: part, in: path) {
                sections[part.stage, default: []].append((part.instance, section))
            }
        }
        self.sections = sections
    }

    package func parts(of stage: String) -> [Manifest.Part] {
        manifest.parts.filter { $0.stage == stage }
    }
}
