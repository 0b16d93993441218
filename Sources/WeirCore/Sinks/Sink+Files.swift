import WeirJSON

/// Whether a file sink keeps what the file holds.
public struct FileOpening: Sendable, Hashable {
    let mode: OpenFile.Mode

    /// It writes behind what is there.
    ///
    /// The default.
    public static let append = FileOpening(mode: .append)
    /// It empties the file when the run starts.
    public static let truncate = FileOpening(mode: .truncate)
}

/// Where lines are written to besides files.
public struct LineOutput: Sendable, Hashable {
    let descriptor: Int32
    let name: String

    /// The standard output of the process.
    public static let standardOutput = LineOutput(descriptor: 1, name: "standard output")
    /// The standard error of the process.
    public static let standardError = LineOutput(descriptor: 2, name: "standard error")
}

extension Sink where Element: Encodable {
    /// Writes each event as a line of JSON to a file.
    ///
    /// **Guarantee:** at least once, in order. A batch counts as written when the operating system has it (with
    /// `sync: .everyBatch`, when it is durable); one that could be written in part only, as when the disk is full, is cut
    /// off again before the supervisor has it retried, so that the file holds whole lines. An event that can't be
    /// encoded, such as a NaN, goes to the dead letters.
    ///
    /// - Parameters:
    ///   - path: The file's path; it is made when missing. Only one sink may write to it.
    ///   - opening: Whether it appends (the default) or empties the file when the run starts.
    ///   - sync: Whether what is written is made durable. Default: no.
    public static func jsonLines(
        toFile path: String, _ opening: FileOpening = .append, sync: FileSync = .never
    ) -> Sink {
        file("jsonLines", path, opening, sync, JSONLineEncoder().encode)
    }

    /// Writes each event as a line of JSON to standard output or standard error.
    ///
    /// **Guarantee:** at least once, in order; a retried batch may leave an incomplete line behind.
    public static func jsonLines(to output: LineOutput) -> Sink {
        standard("jsonLines", output, JSONLineEncoder().encode)
    }
}

extension Sink where Element == String {
    /// Writes each event as a line to a file.
    ///
    /// **Guarantee:** at least once, in order; see ``jsonLines(toFile:_:sync:)``. A line feed inside an event makes two
    /// lines of it.
    ///
    /// - Parameters:
    ///   - path: The file's path; it is made when missing. Only one sink may write to it.
    ///   - opening: Whether it appends (the default) or empties the file when the run starts.
    ///   - sync: Whether what is written is made durable. Default: no.
    public static func lines(
        toFile path: String, _ opening: FileOpening = .append, sync: FileSync = .never
    ) -> Sink {
        file("lines", path, opening, sync) { $1.append(contentsOf: $0.utf8) }
    }

    /// Writes each event as a line to standard output or standard error.
    ///
    /// **Guarantee:** at least once, in order; a retried batch may leave an incomplete line behind.
    public static func lines(to output: LineOutput) -> Sink {
        standard("lines", output) { $1.append(contentsOf: $0.utf8) }
    }
}

private struct JSONLineEncoder: Sendable {
    let encoder = JSONEventEncoder()

    @Sendable func encode<Event: Encodable>(_ event: Event, into bytes: inout [UInt8]) throws {
        try encoder.encode(event, into: &bytes)
    }
}

extension Sink {
    private static func file(
        _ label: String, _ path: String, _ opening: FileOpening, _ sync: FileSync,
        _ encode: @escaping @Sendable (Element, inout [UInt8]) throws -> Void
    ) -> Sink {
        Sink(label, endpoint: "file \(path)") { context in
            let thread = BlockingThread(context.environment)
            // Emptied once: when the stage restarts, the file goes on.
            let isFirst = context.resources.shared("\(context.stage) file \(path)") {
                OpenedBefore()
            } close: { _ in
            }.isFirst()
            let mode = isFirst ? opening.mode : .append
            do {
                guard let file = try await thread.run({ try OpenFile.open(path, mode) }) else {
                    throw FileError(path: path, action: "open", code: FileError.noSuchFile)
                }
                return try await FileWriter(
                    file: file, thread: thread, sync: sync,
                    reject: { context.deadLetter($0, reason: String(describing: $1)) },
                    encode: encode)
            } catch {
                thread.stop()
                throw error
            }
        }
    }

    private static func standard(
        _ label: String, _ output: LineOutput,
        _ encode: @escaping @Sendable (Element, inout [UInt8]) throws -> Void
    ) -> Sink {
        Sink(label) { context in
            let file = try OpenFile(
                path: output.name, descriptor: output.descriptor, owns: false)
            return try await FileWriter(
                file: file, thread: BlockingThread(context.environment), sync: .never,
                reject: { context.deadLetter($0, reason: String(describing: $1)) },
                encode: encode)
        }
    }
}
