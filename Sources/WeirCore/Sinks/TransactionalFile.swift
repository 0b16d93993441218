import Synchronization
import WeirJournal

/// A file that grows by whole checkpoints: what was written since the last one stands in a file
/// beside it, and is appended when the checkpoint is complete.
///
/// ```
/// out.jsonl                what is final
/// out.jsonl.staging        written since the last checkpoint
/// out.jsonl.pending-12     written before checkpoint 12, appended once that is complete
/// ```
/// A run that begins with checkpoint 12 cuts the file to the length that it had before, or has
/// already with what was pending, and appends the rest. Its calls block.
final class TransactionalFile: Sendable {
    /// What of the file a checkpoint knows.
    struct Prepared: Codable, Sendable {
        struct Segment: Codable, Sendable {
            var checkpoint: Int
            var size: Int
            var checksum: UInt32
        }

        /// The length of what is final without the segments.
        var length: Int
        var segments: [Segment] = []
    }

    private struct State: Sendable {
        var prepared: Prepared
        var staging: (any StoredFile)?
        /// What the staged file is called: another name when a checkpoint failed after naming it.
        var stagedPath = ""
        /// Whether a failed synchronize may have lost some of what is staged.
        var isSuspect = false
        var stagedSize = 0
        var stagedChecksum = Checksum()
    }

    let path: String
    private let files: any FileSystem
    private let state: Mutex<State>

    /// Opens the file and brings it to where a checkpoint has it; nil for as it is.
    init(path: String, files: any FileSystem, restored: Prepared?) throws {
        self.path = path
        self.files = files
        if let restored {
            state = Mutex(State(prepared: restored))
            try recover(restored)
        } else {
            let file = try files.open(path, .readWrite)
            defer { file.close() }
            state = Mutex(State(prepared: Prepared(length: try file.size)))
        }
        for left in [stagingPath, copyPath] where try files.exists(left) {
            try files.remove(left)
        }
        try removePending { number in restored?.segments.contains { $0.checkpoint == number } ?? false }
    }

    private var stagingPath: String { "\(path).staging" }
    private var copyPath: String { "\(path).staging.copy" }
    private func pendingPath(_ checkpoint: Int) -> String { "\(path).pending-\(checkpoint)" }

    /// Brings the file to what is final as of a checkpoint: segments that have been appended
    /// already stay, what came later goes.
    private func recover(_ prepared: Prepared) throws {
        let file = try files.open(path, .readWrite)
        defer { file.close() }
        let size = try file.size
        var rest = prepared
        guard size >= rest.length else {
            throw corrupt("it has \(size) bytes, the checkpoint knows \(rest.length) final ones")
        }
        while let segment = rest.segments.first {
            let bytes = try read(file, rest.length..<(rest.length + segment.size))
            if bytes.count == segment.size, Self.checksum(of: bytes) == segment.checksum {
                rest.length += segment.size
                rest.segments.removeFirst()
            } else if try files.exists(pendingPath(segment.checkpoint)) {
                break
            } else {
                throw corrupt("it lacks what belongs to checkpoint \(segment.checkpoint)")
            }
        }
        if size > rest.length { try file.truncate(to: rest.length) }
        // A process that was killed may have left bytes that are not durable, and a new file.
        try file.synchronize()
        try files.syncDirectory(LocalFileSystem.parent(of: path))
        let remaining = rest
        state.withLock { $0.prepared = remaining }
    }

    private func corrupt(_ reason: String) -> StorageError {
        StorageError(
            .corrupt(segment: path, offset: 0, reason: reason), path: path, action: "continue")
    }

    private static func checksum(of bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { Checksum.of($0) }
    }

    private func read(_ file: any StoredFile, _ range: Range<Int>) throws -> [UInt8] {
        var failure: StorageError?
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            do throws(StorageError) {
                count = try file.read(
                    at: range.lowerBound, into: UnsafeMutableRawBufferPointer(buffer))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private func removePending(unless isNeeded: (Int) -> Bool) throws {
        let prefix = "\(path.split(separator: "/").last ?? "").pending-"
        for name in try files.list(LocalFileSystem.parent(of: path)) where name.hasPrefix(prefix) {
            guard let number = Int(name.dropFirst(prefix.count)), !isNeeded(number) else { continue }
            try files.remove(pendingPath(number))
        }
    }

    /// Writes behind what was staged; all of it or nothing.
    func write(_ bytes: [UInt8]) throws {
        try state.withLock { state in
            let file: any StoredFile
            if let staging = state.staging {
                file = staging
            } else {
                file = try files.open(stagingPath, .readWrite)
                state.staging = file
                state.stagedPath = stagingPath
            }
            var failure: StorageError?
            bytes.withUnsafeBytes { pointer in
                do throws(StorageError) {
                    try file.write(pointer, at: state.stagedSize)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            state.stagedSize += bytes.count
            bytes.withUnsafeBytes { state.stagedChecksum.add($0) }
        }
    }

    /// Makes what was staged durable as a segment of its own.
    func prepare(checkpoint: Int) throws -> Prepared {
        try state.withLock { state in
            guard state.stagedSize > 0, var file = state.staging else { return state.prepared }
            if state.isSuspect {
                file = try rewrite(file, &state)
            } else {
                // A write that failed half way may have left more behind.
                try file.truncate(to: state.stagedSize)
                state.isSuspect = true
                try file.synchronize()
                state.isSuspect = false
            }
            let pending = pendingPath(checkpoint)
            if state.stagedPath != pending {
                try files.rename(state.stagedPath, to: pending)
                state.stagedPath = pending
            }
            try files.syncDirectory(LocalFileSystem.parent(of: path))
            file.close()
            state.prepared.segments.append(
                .init(
                    checkpoint: checkpoint, size: state.stagedSize,
                    checksum: state.stagedChecksum.value))
            state.staging = nil
            state.stagedSize = 0
            state.stagedChecksum = Checksum()
            return state.prepared
        }
    }

    /// Makes a durable copy of what is staged, from the system's cache: after a failed synchronize
    /// the file itself may never get what it lacks, though the next one succeeds.
    private func rewrite(
        _ file: any StoredFile, _ state: inout State
    ) throws -> any StoredFile {
        let bytes = try read(file, 0..<state.stagedSize)
        guard bytes.count == state.stagedSize,
            Self.checksum(of: bytes) == state.stagedChecksum.value
        else { throw corrupt("the device has lost what was written since the last checkpoint") }
        let copy = try files.open(copyPath, .readWrite)
        var failure: StorageError?
        bytes.withUnsafeBytes { pointer in
            do throws(StorageError) {
                try copy.truncate(to: 0)
                try copy.write(pointer, at: 0)
                try copy.synchronize()
                try files.rename(copyPath, to: state.stagedPath)
            } catch {
                failure = error
            }
        }
        if let failure {
            copy.close()
            throw failure
        }
        file.close()
        state.staging = copy
        state.isSuspect = false
        return copy
    }

    /// Appends what was prepared for this checkpoint and those before.
    func commit(checkpoint: Int) throws {
        try state.withLock { state in
            guard let first = state.prepared.segments.first, first.checkpoint <= checkpoint else {
                return
            }
            let file = try files.open(path, .readWrite)
            defer { file.close() }
            var end = state.prepared.length
            let segments = state.prepared.segments.prefix { $0.checkpoint <= checkpoint }
            for segment in segments {
                let bytes = try files.readFile(pendingPath(segment.checkpoint))
                guard bytes.count == segment.size, Self.checksum(of: bytes) == segment.checksum else {
                    throw corrupt(
                        "'\(pendingPath(segment.checkpoint))' isn't what checkpoint "
                            + "\(segment.checkpoint) had written")
                }
                var failure: StorageError?
                bytes.withUnsafeBytes { pointer in
                    do throws(StorageError) {
                        try file.write(pointer, at: end)
                    } catch {
                        failure = error
                    }
                }
                if let failure { throw failure }
                end += segment.size
            }
            try file.synchronize()
            try files.syncDirectory(LocalFileSystem.parent(of: path))
            state.prepared.length = end
            state.prepared.segments.removeFirst(segments.count)
            for segment in segments { try? files.remove(pendingPath(segment.checkpoint)) }
        }
    }

    func close() {
        state.withLock { state in
            state.staging?.close()
            state.staging = nil
        }
    }
}
