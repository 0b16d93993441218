import Logging
import WeirJSON
import WeirJournal

extension Sink where Element: Encodable {
    /// Writes each event as a line of JSON to a file that grows by whole checkpoints.
    ///
    /// **Guarantee:** exactly once, in order, over crashes of the process and of the machine: the
    /// file has the lines of complete checkpoints and no others. Until then they stand in files
    /// beside it, `PATH.staging` and `PATH.pending-N`. When the run begins with an older checkpoint,
    /// the file is cut back to what was final then. An event that can't be encoded, such as a NaN,
    /// goes to the dead letters. While the disk is full the sink waits; after another error of the
    /// disk its supervisor has the write repeated.
    ///
    /// The run needs a store; without one it doesn't start.
    ///
    /// - Parameter path: The file's path; it is made when missing, else appended to. Only one sink
    ///   may write to it.
    public static func transactionalJSONLines(toFile path: String) -> Sink {
        let encoder = JSONEventEncoder()
        return Sink("transactionalJSONLines", endpoint: "file \(path)") { context in
            guard let service = context.environment.checkpoints else {
                throw StoreError(
                    store: "none",
                    reason:
                        "the sink of '\(path)' writes with checkpoints, and the run has no store: "
                        + "RunConfiguration(store: .directory(…))")
            }
            let files = service.store.fileSystem
            let thread = BlockingThread(context.environment)
            let restored = context.restoredState
            let file: TransactionalFile
            do {
                let opened = try await thread.run { () throws -> TransactionalFile in
                    let prepared = try restored.map {
                        try JSONEventDecoder().decode(TransactionalFile.Prepared.self, from: $0)
                    }
                    return try context.resources.shared("transactional \(path)") {
                        try TransactionalFile(path: path, files: files, restored: prepared)
                    } close: {
                        $0.close()
                    }
                }
                file = opened
            } catch {
                thread.stop()
                throw error
            }
            return TransactionalLineWriter<Element>(
                file: file, thread: thread, clock: context.environment.clock,
                logger: context.logger,
                reject: { context.deadLetter($0, reason: String(describing: $1)) }
            ) { try encoder.encode($0, into: &$1) }
        }
    }
}

/// Writes batches to a transactional file.
private final class TransactionalLineWriter<Element: Sendable>: TransactionalSinkWriter {
    private let file: TransactionalFile
    private let thread: BlockingThread
    private let clock: any RuntimeClock
    private let logger: Logger
    private let reject: (Element, any Error) -> Void
    private let encode: (Element, inout [UInt8]) throws -> Void

    init(
        file: TransactionalFile, thread: BlockingThread, clock: any RuntimeClock, logger: Logger,
        reject: @escaping (Element, any Error) -> Void,
        encode: @escaping (Element, inout [UInt8]) throws -> Void
    ) {
        self.file = file
        self.thread = thread
        self.clock = clock
        self.logger = logger
        self.reject = reject
        self.encode = encode
    }

    func write(_ batch: Batch<Element>) async throws {
        let file = file
        let (lines, refused) = batch.lines(encode)
        try await whenThereIsRoom { try file.write(lines) }
        for (event, error) in refused { reject(event, error) }
    }

    func prepare(checkpoint: Int) async throws -> [UInt8] {
        let file = file
        let prepared = try await thread.run { try file.prepare(checkpoint: checkpoint) }
        var bytes: [UInt8] = []
        try JSONEventEncoder().encode(prepared, into: &bytes)
        return bytes
    }

    func commit(checkpoint: Int) async throws {
        let file = file
        try await whenThereIsRoom { try file.commit(checkpoint: checkpoint) }
    }

    /// Tries again, with growing pauses, while the disk is full: the mailbox fills meanwhile, and
    /// senders wait.
    private func whenThereIsRoom(_ work: @escaping @Sendable () throws -> Void) async throws {
        var pause = Duration.milliseconds(50)
        var isBlocked = false
        while true {
            do {
                try await thread.run(work)
                if isBlocked { logger.notice("the disk has room again: the sink goes on") }
                return
            } catch let error as StorageError {
                guard error.code == .noSpace else { throw FileUnavailable(cause: error) }
                if !isBlocked {
                    logger.error("the sink waits for room", metadata: ["error": "\(error)"])
                }
                isBlocked = true
            }
            try await clock.sleep(for: pause)
            pause = min(pause * 2, .seconds(5))
        }
    }

    func close() async throws {
        thread.stop()
    }
}

/// The disk has failed, whatever the event.
private struct FileUnavailable: SinkUnavailable, CustomStringConvertible {
    let cause: StorageError

    var description: String { "\(cause)" }
}

extension Batch {
    /// A line for each event, and what can't be encoded: to be given up once the others are written,
    /// since the whole batch comes again until then.
    func lines(
        _ encode: (Element, inout [UInt8]) throws -> Void
    ) -> (bytes: [UInt8], refused: [(Element, any Error)]) {
        var refused: [(Element, any Error)] = []
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count * 128)
        for event in elements {
            let start = bytes.count
            do {
                try encode(event, &bytes)
                bytes.append(0x0A)
            } catch {
                bytes.removeLast(bytes.count - start)
                refused.append((event, error))
            }
        }
        return (bytes, refused)
    }
}
