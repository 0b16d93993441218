/// Whether a file sink makes what it has written durable.
public struct FileSync: Sendable, Hashable {
    enum Kind: Sendable { case never, whenIdle, everyBatch }
    let kind: Kind

    /// It leaves that to the operating system: a crash of the machine may lose the last seconds.
    ///
    /// The default.
    public static let never = FileSync(kind: .never)
    /// Whenever there is nothing more to write for now, and at the end.
    public static let whenIdle = FileSync(kind: .whenIdle)
    /// After each batch.
    public static let everyBatch = FileSync(kind: .everyBatch)
}

/// Writes each batch to a file as a whole: a batch that fails half way is taken back before it is tried again.
final class FileWriter<Element: Sendable>: SinkWriter {
    private let file: OpenFile
    private let thread: BlockingThread
    private let sync: FileSync
    private let encode: (Element, inout [UInt8]) throws -> Void
    private let reject: (Element, any Error) -> Void
    private var needsSync = false

    init(
        file: OpenFile, thread: BlockingThread, sync: FileSync,
        reject: @escaping (Element, any Error) -> Void,
        encode: @escaping (Element, inout [UInt8]) throws -> Void
    ) async throws {
        self.file = file
        self.thread = thread
        self.sync = sync
        self.encode = encode
        self.reject = reject
        try await thread.run { try Self.repairEnd(of: file) }
    }

    /// Ends a last line that a crash has left open, so that what follows is not joined to it.
    private static func repairEnd(of file: OpenFile) throws(FileError) {
        guard file.isRegular else { return }
        let size = try file.size()
        guard size > 0, let last = try? file.read(1, at: size - 1), last != [0x0A], !last.isEmpty
        else { return }
        try file.write([0x0A])
    }

    func write(_ batch: Batch<Element>) async throws {
        let (bytes, refused) = batch.lines(encode)
        let file = file
        let syncs = sync == .everyBatch
        try await thread.run {
            // Asked each time: somebody else may have emptied the file, as log rotation does.
            let whole = file.isRegular ? try file.size() : 0
            do {
                try file.write(bytes)
                if syncs { try file.synchronize() }
            } catch {
                if file.isRegular { try file.truncate(to: whole) }
                throw error
            }
        }
        needsSync = sync == .whenIdle
        for (event, error) in refused { reject(event, error) }
    }

    func flush() async throws {
        guard needsSync else { return }
        needsSync = false
        let file = file
        try await thread.run { try file.synchronize() }
    }

    func close() async throws {
        defer { thread.stop() }
        try await flush()
    }
}
