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
        /// The name of the staging file: another one when `prepare` failed behind the renaming.
        var stagedPath: String
        /// Whether a synchronization of the staging file has failed.
        var isSuspect = false
        /// Set when what was staged is gone: only the checkpoint before can help.
        var loss: StorageError?
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
            state = Mutex(State(prepared: restored, stagedPath: "\(path).staging"))
            try recover(restored)
        } else {
            let file = try files.open(path, .readWrite)
            defer { file.close() }
            state = Mutex(
                State(
                    prepared: Prepared(length: try file.size), stagedPath: "\(path).staging"))
        }
        for left in [stagingPath, rewritingPath] where try files.exists(left) {
            try files.remove(left)
        }
        let needed = state.withLock { state in state.prepared.segments.map(\.checkpoint) }
        try removePending { needed.contains($0) }
    }

    private var stagingPath: String { "\(path).staging" }
    private var rewritingPath: String { "\(path).staging.new" }
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
            if try file.checksum(from: rest.length, count: segment.size) == segment.checksum {
                // A process that was killed may have left it in the system's cache alone.
                try file.copy(from: rest.length, count: segment.size, to: file, at: rest.length)
                rest.length += segment.size
                rest.segments.removeFirst()
            } else if try files.exists(pendingPath(segment.checkpoint)) {
                break
            } else {
                throw corrupt("it lacks what belongs to checkpoint \(segment.checkpoint)")
            }
        }
        if size > rest.length { try file.truncate(to: rest.length) }
        if size > prepared.length {
            try file.synchronize()
            try files.syncDirectory(LocalFileSystem.parent(of: path))
        }
        let remaining = rest
        state.withLock { $0.prepared = remaining }
    }

    private func corrupt(_ reason: String) -> StorageError {
        StorageError(
            .corrupt(segment: path, offset: 0, reason: reason), path: path, action: "continue")
    }

    private func removePending(unless isNeeded: (Int) -> Bool) throws {
        let prefix = "\(path.split(separator: "/").last ?? "").pending-"
        for name in try files.list(LocalFileSystem.parent(of: path)) where name.hasPrefix(prefix) {
            guard let number = Int(name.dropFirst(prefix.count)), !isNeeded(number) else {
                continue
            }
            try files.remove(pendingPath(number))
        }
    }

    /// Writes behind what was staged; all of it or nothing.
    func write(_ bytes: [UInt8]) throws {
        try state.withLock { state in
            if let loss = state.loss { throw loss }
            let file = try state.staging ?? files.open(state.stagedPath, .readWrite)
            state.staging = file
            try file.write(bytes, at: state.stagedSize)
            state.stagedSize += bytes.count
            bytes.withUnsafeBytes { state.stagedChecksum.add($0) }
        }
    }

    /// Makes what was staged durable as a segment of its own.
    func prepare(checkpoint: Int) throws -> Prepared {
        try state.withLock { state in
            guard state.stagedSize > 0, var file = state.staging else { return state.prepared }
            if state.isSuspect { file = try rewrite(file, &state) }
            // A write that failed half way may have left more behind.
            try file.truncate(to: state.stagedSize)
            state.isSuspect = true
            try file.synchronize()
            state.isSuspect = false
            try files.rename(state.stagedPath, to: pendingPath(checkpoint))
            state.stagedPath = pendingPath(checkpoint)
            try files.syncDirectory(LocalFileSystem.parent(of: path))
            file.close()
            state.prepared.segments.append(
                .init(
                    checkpoint: checkpoint, size: state.stagedSize,
                    checksum: state.stagedChecksum.value))
            state.staging = nil
            state.stagedPath = stagingPath
            state.stagedSize = 0
            state.stagedChecksum = Checksum()
            return state.prepared
        }
    }

    /// Writes what is staged to a new file.
    ///
    /// After a failed synchronization the system may have dropped what it could not write, and
    /// report success from then on.
    private func rewrite(_ file: any StoredFile, _ state: inout State) throws -> any StoredFile {
        let size = state.stagedSize
        guard try file.checksum(from: 0, count: size) == state.stagedChecksum.value else {
            let loss = corrupt(
                "the disk has lost what was written since the last checkpoint; the next run goes on "
                    + "from that")
            state.loss = loss
            throw loss
        }
        let copy = try files.open(rewritingPath, .readWrite)
        do {
            try file.copy(from: 0, count: size, to: copy, at: 0)
            try files.rename(rewritingPath, to: state.stagedPath)
        } catch {
            copy.close()
            throw error
        }
        file.close()
        state.staging = copy
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
                let pending = try files.open(pendingPath(segment.checkpoint), .read)
                defer { pending.close() }
                guard try pending.size == segment.size,
                    try pending.checksum(from: 0, count: segment.size) == segment.checksum
                else {
                    throw corrupt(
                        "'\(pendingPath(segment.checkpoint))' isn't what checkpoint "
                            + "\(segment.checkpoint) had written")
                }
                try pending.copy(from: 0, count: segment.size, to: file, at: end)
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

/// A segment may be larger than memory, so it is read in portions.
extension StoredFile {
    fileprivate func checksum(from start: Int, count: Int) throws -> UInt32? {
        var checksum = Checksum()
        let isWhole = try forEachPortion(from: start, count: count) { bytes, _ in
            bytes.withUnsafeBytes { checksum.add($0) }
        }
        return isWhole ? checksum.value : nil
    }

    fileprivate func copy(
        from start: Int, count: Int, to other: any StoredFile, at place: Int
    ) throws {
        let isWhole = try forEachPortion(from: start, count: count) { bytes, offset in
            try other.write(bytes, at: place + offset)
        }
        if !isWhole { throw StorageError(.io, path: "a prepared segment", action: "copy") }
    }

    /// Returns false when the file ends before.
    private func forEachPortion(
        from start: Int, count: Int, _ body: ([UInt8], _ offset: Int) throws -> Void
    ) throws -> Bool {
        var offset = 0
        while offset < count {
            let wanted = min(1 << 20, count - offset)
            let bytes = try read(wanted, at: start + offset)
            if bytes.count < wanted { return false }
            try body(bytes, offset)
            offset += wanted
        }
        return true
    }
}
