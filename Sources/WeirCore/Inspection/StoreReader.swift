package import WeirJournal

/// Reads a store without its lock and without changing it, also while a run has it open.
///
/// A checkpoint may be removed by the run while it is being read; it is then as if it had not been
/// there. Its calls block.
package struct StoreReader: Sendable {
    package let directory: CheckpointDirectory
    /// Opens what is encrypted; nil where there are no keys.
    let cipher: (any RecordCipher)?
    private var files: any FileSystem { directory.files }

    /// - Throws: ``MissingFromStore`` when there is no store at the path.
    package init(
        path: String, files: any FileSystem = LocalFileSystem(), cipher: (any RecordCipher)? = nil
    ) throws {
        self.cipher = cipher
        directory = CheckpointDirectory(path: path, files: files, cipher: cipher)
        guard try files.exists(path) else {
            throw MissingFromStore("there is no directory '\(path)'")
        }
        let names: [String]
        do {
            names = try files.list(path)
        } catch {
            throw MissingFromStore("'\(path)' can't be listed: \(error)")
        }
        guard names.contains("LOCK") || names.contains("checkpoints") || names.contains("ingest")
        else { throw MissingFromStore("'\(path)' is no store: it has no checkpoints") }
    }

    /// What the store has.
    ///
    /// - Parameters:
    ///   - verifies: Whether all bytes are read and checked, not only manifests and journals.
    ///   - producerLimit: How many producers of a journal are listed by name.
    package func contents(verifies: Bool = false, producerLimit: Int = 100) throws -> StoreContents
    {
        var contents = StoreContents(path: directory.path)
        contents.isVerified = verifies
        contents.lastProcess = lastProcess
        for (name, path) in try snapshotDirectories(directory.checkpoints) {
            guard let number = Int(name) else { continue }
            var snapshot = readSnapshot(path, verifies, &contents)
            snapshot?.checkpoint = number
            if let snapshot { contents.checkpoints.append(snapshot) }
        }
        contents.checkpoints.sort { $0.checkpoint ?? 0 < $1.checkpoint ?? 0 }
        for (name, path) in try snapshotDirectories(directory.savepoints) {
            var snapshot = readSnapshot(path, verifies, &contents)
            snapshot?.savepoint = name
            if let snapshot { contents.savepoints.append(snapshot) }
        }
        contents.ingest = try ingestJournals(producerLimit, &contents.damage)
        return contents
    }

    /// The process that the lock file names; whether it still runs is not known from that.
    private var lastProcess: Int? {
        guard let bytes = try? files.readFile("\(directory.path)/LOCK", limit: 64) else {
            return nil
        }
        let digits = String(decoding: bytes, as: UTF8.self).prefix { $0.isNumber }
        return Int(digits)
    }

    private func snapshotDirectories(_ parent: String) throws -> [(name: String, path: String)] {
        guard try files.exists(parent) else { return [] }
        return try files.list(parent).map { ($0, "\(parent)/\($0)") }
    }

    /// Nil when it has been removed meanwhile.
    private func readSnapshot(
        _ path: String, _ verifies: Bool, _ contents: inout StoreContents
    ) -> StoreContents.Snapshot? {
        var snapshot = StoreContents.Snapshot(directory: path, isComplete: false)
        guard (try? files.exists(path)) == true else { return nil }
        guard (try? files.exists("\(path)/MANIFEST")) == true else { return snapshot }
        snapshot.isComplete = true
        let manifest: Manifest
        do {
            manifest = try directory.manifest(in: path)
        } catch {
            guard (try? files.exists("\(path)/MANIFEST")) == true else { return nil }
            let reason = Self.reason(error)
            snapshot.problem = reason
            contents.damage.append(.init(file: "\(path)/MANIFEST", offset: nil, reason: reason))
            return snapshot
        }
        snapshot.describe(manifest)
        contents.topology = manifest.topology
        for part in manifest.parts {
            guard let damage = check(part, in: path, verifies) else { continue }
            if (try? files.exists("\(path)/MANIFEST")) != true { return nil }
            snapshot.problem = snapshot.problem ?? damage.reason
            contents.damage.append(damage)
        }
        return snapshot
    }

    private func check(
        _ part: Manifest.Part, in path: String, _ verifies: Bool
    ) -> StoreContents.Damage? {
        let file = "\(path)/\(part.file)"
        do {
            if verifies {
                try directory.verify(part, in: path)
                return nil
            }
            let opened = try files.open(file, .read)
            defer { opened.close() }
            let size = try opened.size
            if size == part.bytes { return nil }
            return .init(
                file: file, offset: min(size, part.bytes),
                reason: "it has \(size) bytes, the manifest says \(part.bytes)")
        } catch {
            let reason = Self.reason(error)
            return .init(file: file, offset: Self.offset(in: reason), reason: reason)
        }
    }

    static func reason(_ error: any Error) -> String {
        (error as? StoreError)?.reason ?? "\(error)"
    }

    /// The offset that a text about a damaged part names.
    private static func offset(in reason: String) -> Int? {
        guard let range = reason.firstRange(of: "at offset ") else { return nil }
        return Int(reason[range.upperBound...].prefix { $0.isNumber })
    }
}

extension StoreContents.Snapshot {
    /// Takes over what a manifest says.
    fileprivate mutating func describe(_ manifest: Manifest) {
        checkpoint = manifest.checkpoint
        savepoint = manifest.savepoint
        takenAt = EventTime(nanoseconds: manifest.takenAt)
        hasEnded = manifest.hasEnded
        bytes = manifest.parts.reduce(0) { $0 + $1.bytes }
        var order: [String] = []
        var byName: [String: StoreContents.Stage] = [:]
        for part in manifest.parts {
            let watermark = part.watermark == .min ? nil : EventTime(nanoseconds: part.watermark)
            guard var stage = byName[part.stage] else {
                order.append(part.stage)
                byName[part.stage] = StoreContents.Stage(
                    name: part.stage, instances: 1, bytes: part.bytes, watermark: watermark,
                    hasEnded: part.hasEnded, position: part.position, states: part.states)
                continue
            }
            stage.instances += 1
            stage.bytes += part.bytes
            stage.hasEnded = stage.hasEnded && part.hasEnded
            stage.position = stage.position ?? part.position
            if let known = stage.watermark { stage.watermark = watermark.map { min($0, known) } }
            for state in part.states {
                if let index = stage.states.firstIndex(where: { $0.id == state.id }) {
                    stage.states[index].entries += state.entries
                } else {
                    stage.states.append(state)
                }
            }
            byName[part.stage] = stage
        }
        stages = order.compactMap { byName[$0] }
    }
}
