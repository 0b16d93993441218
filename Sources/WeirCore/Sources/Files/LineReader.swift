/// Turns the lines of a file or of standard input into events; what can't become one goes to the dead letters.
struct LineReader<Element: Sendable>: Sendable {
    let inlet: Inlet<Element>
    let origin: String
    let lineLimit: Int
    /// The event of a line; nil leaves it out.
    let decode: @Sendable ([UInt8]) throws -> Element?

    /// Reads a file to its end.
    func readFile(_ path: String) async throws {
        let thread = BlockingThread(inlet.context.environment)
        defer { thread.stop() }
        guard let file = try await thread.run({ try OpenFile.open(path, .read) }) else {
            throw FileError(path: path, action: "open", code: FileError.noSuchFile)
        }
        var splitter = LineSplitter(limit: lineLimit)
        var offset = 0
        let identity = file.identity.code
        if let position = inlet.position, position.identity == identity {
            offset = Int(position.offset)
            let size = try await thread.run { try file.size() }
            if file.isRegular, size < offset {
                throw ShortenedFile(path: path, size: size, offset: offset)
            }
        }
        while true {
            try Task.checkCancellation()
            let position = file.isRegular ? offset : nil
            let bytes = try await thread.run { try file.read(65_536, at: position) }
            if bytes.isEmpty { break }
            offset += bytes.count
            try await send(bytes, &splitter) {
                SourcePosition(offset: Int64(offset - $0), identity: identity)
            }
        }
        try await finish(
            &splitter, position: SourcePosition(offset: Int64(offset), identity: identity))
    }

    /// Reads standard input to its end, or until the source is to stop.
    func readStandardInput() async throws {
        let environment = inlet.context.environment
        let thread = BlockingThread(environment)
        defer { thread.stop() }
        let file = try OpenFile(path: "standard input", descriptor: 0, owns: false)
        var splitter = LineSplitter(limit: lineLimit)
        let cancellation = thread.cancellation
        while true {
            let bytes = try await thread.runCancellable {
                if let cancellation, !file.waitUntilReadable(or: cancellation) {
                    throw CancellationError()
                }
                return try file.read(65_536, at: nil)
            }
            if bytes.isEmpty { break }
            try await send(bytes, &splitter)
        }
        try await finish(&splitter)
    }

    /// Follows a file until the source is to stop.
    func follow(_ path: String, fromEnd: Bool, polling interval: Duration) async throws {
        let context = inlet.context
        let thread = BlockingThread(context.environment)
        defer { thread.stop() }
        var tail = FileTail(path: path, fromEnd: fromEnd, resumingAt: inlet.position)
        var splitter = LineSplitter(limit: lineLimit)
        while true {
            try Task.checkCancellation()
            let before = tail
            let (after, step) = try await thread.run {
                var tail = before
                let step = try tail.step()
                return (tail, step)
            }
            let justOpened = after.isOpen && !before.isOpen
            tail = after
            switch step {
            case .bytes(let bytes):
                let position = tail.position
                try await send(bytes, &splitter) { open in
                    guard var position else { return nil }
                    position.offset -= Int64(open)
                    return position
                }
            case .endOfFile: try await finish(&splitter, position: tail.position)
            case .nothing:
                if !justOpened {
                    try await context.sleep(for: interval)
                } else if let position = tail.position {
                    // A run that goes on before the first line has come begins here.
                    inlet.advance(to: position)
                }
            }
        }
    }

    /// - Parameter position: Where the source is behind the last whole line, from the number of
    ///   bytes that the next line has so far.
    private func send(
        _ bytes: [UInt8], _ splitter: inout LineSplitter,
        position: (_ open: Int) -> SourcePosition? = { _ in nil }
    ) async throws {
        var batch = Batch<Element>()
        splitter.append(bytes) { add($0, to: &batch) }
        try await send(batch, position: position(splitter.openByteCount))
    }

    private func finish(
        _ splitter: inout LineSplitter, position: SourcePosition? = nil
    ) async throws {
        var batch = Batch<Element>()
        splitter.finish { add($0, to: &batch) }
        try await send(batch, position: position)
    }

    private func send(_ batch: Batch<Element>, position: SourcePosition?) async throws {
        if !batch.isEmpty {
            try await inlet.send(batch, position: position)
        } else if let position {
            inlet.advance(to: position)
        }
    }

    private func add(_ line: LineSplitter.Line, to batch: inout Batch<Element>) {
        switch line {
        case .line(let bytes):
            do {
                if let event = try decode(bytes) { batch.append(event) }
            } catch {
                inlet.context.deadLetter(bytes, reason: String(describing: error), origin: origin)
            }
        case .tooLong(let beginning):
            inlet.context.deadLetter(
                beginning, reason: "the line is longer than \(lineLimit) bytes", origin: origin)
        }
    }
}

/// A file that was read further than it goes now: what it holds is not what is missing.
private struct ShortenedFile: Error, CustomStringConvertible {
    let path: String
    let size: Int
    let offset: Int

    var description: String {
        "cannot go on at byte \(offset) of '\(path)': it has become shorter, \(size) bytes"
    }
}
