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
        let progress = progress(of: path)
        var offset = 0
        if let known = progress.position, known.identity == file.identity { offset = known.offset }
        // What a cancelled inlet has taken leaves later: it counts as sent.
        func note() {
            progress.position = FileTail.Position(
                identity: file.identity, offset: max(0, offset - splitter.openByteCount))
        }
        while true {
            try Task.checkCancellation()
            let position = file.isRegular ? offset : nil
            let bytes = try await thread.run { try file.read(65_536, at: position) }
            if bytes.isEmpty { break }
            offset += bytes.count
            defer { note() }
            try await send(bytes, &splitter)
        }
        defer { note() }
        try await finish(&splitter)
    }

    private func progress(of path: String) -> TailProgress {
        inlet.context.resources.shared("\(inlet.context.stage) lines of \(path)") {
            TailProgress()
        } close: { _ in
        }
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
        let progress = progress(of: path)
        let thread = BlockingThread(context.environment)
        defer { thread.stop() }
        var tail = FileTail(path: path, fromEnd: fromEnd, resumingAt: progress.position)
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
            defer { progress.position = position(of: tail, splitter) }
            switch step {
            case .bytes(let bytes): try await send(bytes, &splitter)
            case .endOfFile: try await finish(&splitter)
            case .nothing:
                progress.position = position(of: tail, splitter)
                if !justOpened { try await context.sleep(for: interval) }
            }
        }
    }

    /// Where the line that has begun begins.
    private func position(of tail: FileTail, _ splitter: LineSplitter) -> FileTail.Position? {
        guard var position = tail.position else { return nil }
        position.offset = max(0, position.offset - splitter.openByteCount)
        return position
    }

    private func send(_ bytes: [UInt8], _ splitter: inout LineSplitter) async throws {
        var batch = Batch<Element>()
        splitter.append(bytes) { add($0, to: &batch) }
        if !batch.isEmpty { try await inlet.send(batch) }
    }

    private func finish(_ splitter: inout LineSplitter) async throws {
        var batch = Batch<Element>()
        splitter.finish { add($0, to: &batch) }
        if !batch.isEmpty { try await inlet.send(batch) }
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
