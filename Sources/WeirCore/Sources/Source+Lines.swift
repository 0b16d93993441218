import WeirJSON

/// Where lines are read from besides files.
public struct LineInput: Sendable, Hashable {
    /// The standard input of the process.
    public static let standardInput = LineInput()
}

/// Whether a source goes on when it has reached the end of its file.
public struct FileFollowing: Sendable, Hashable {
    /// Where following begins in a file that is there at the start.
    public struct Start: Sendable, Hashable {
        let isEnd: Bool

        /// With its first line.
        public static let start = Start(isEnd: false)
        /// With what is written from now on.
        public static let end = Start(isEnd: true)
    }

    let start: Start?
    let interval: Duration

    /// The stream ends with the file.
    public static let no = FileFollowing(start: nil, interval: .zero)

    /// The source waits for more, also in another file that takes the name.
    ///
    /// - Parameters:
    ///   - start: Where it begins in a file that is there already.
    ///   - interval: How often it looks, in processing time. Default 250 ms.
    public static func tail(
        from start: Start = .end, every interval: Duration = .milliseconds(250)
    ) -> FileFollowing {
        FileFollowing(start: start, interval: max(.milliseconds(1), interval))
    }
}

extension Source where Element == String {
    /// The lines of standard input, without their ends.
    ///
    /// A line that isn't valid UTF-8 or is too long goes to the dead letters with its bytes. What is read can't be read
    /// again after a crash.
    ///
    /// - Parameter lineLimit: The longest line in bytes. Default 1 MiB.
    ///
    /// **Emits when** a line is complete. **Suspends upstream when** the mailbox is full: it stops reading.
    /// **Finishes when** the input ends. **Cancels when** the topology drains; a line that has begun is then dropped.
    public static func lines(_ input: LineInput, lineLimit: Int = 1 << 20) -> Source {
        Source("lines", endpoint: "standard input") { inlet in
            try await LineReader(
                inlet: inlet, origin: "standard input", lineLimit: lineLimit, decode: decodeLine
            ).readStandardInput()
        }
    }

    /// The lines of a file, without their ends.
    ///
    /// When it follows the file, it goes through rotation: a renamed file is read until its writer has moved on to the
    /// new one, a truncated file is read from its beginning, a missing one is waited for. A line is sent when its line
    /// feed is there, or its file has been replaced. What a writer truncates between two looks is lost, and a file that
    /// is truncated and filled to its former size or beyond in that time is not noticed: prefer rotation by renaming.
    ///
    /// When the source restarts it goes on behind the last line it has sent. A file that it doesn't follow and that has
    /// become shorter than that is an error.
    ///
    /// - Parameters:
    ///   - path: The file's path.
    ///   - following: Whether it waits for more at the end. Default: no.
    ///   - lineLimit: The longest line in bytes; longer ones go to the dead letters. Default 1 MiB.
    ///
    /// **Emits when** a line is complete. **Suspends upstream when** the mailbox is full: it stops reading.
    /// **Finishes when** the file ends, unless it follows it. **Cancels when** the topology drains.
    /// **Throws** a ``FileError`` to its supervisor when the file can't be read.
    public static func lines(
        ofFile path: String, follow following: FileFollowing = .no, lineLimit: Int = 1 << 20
    ) -> Source {
        Source("lines") { inlet in
            try await LineReader(
                inlet: inlet, origin: path, lineLimit: lineLimit, decode: decodeLine
            ).read(path, following)
        }
    }

    /// A line as text, strictly.
    private static func decodeLine(_ bytes: [UInt8]) throws -> String {
        guard let line = String(validating: bytes, as: UTF8.self) else {
            throw InvalidLine(description: "the line is not valid UTF-8")
        }
        return line
    }
}

extension Source where Element: Decodable {
    /// The events of a file with one JSON document on each line; empty lines are left out.
    ///
    /// A line that can't be decoded goes to the dead letters with its bytes and the reason.
    ///
    /// - Parameters:
    ///   - path: The file's path.
    ///   - type: The type of the events.
    ///   - following: Whether it waits for more at the end; see ``lines(ofFile:follow:lineLimit:)``. Default: no.
    ///   - lineLimit: The longest line in bytes. Default 1 MiB.
    ///
    /// **Emits when** a line is complete. **Suspends upstream when** the mailbox is full: it stops reading.
    /// **Finishes when** the file ends, unless it follows it. **Cancels when** the topology drains.
    public static func jsonLines(
        ofFile path: String, as type: Element.Type = Element.self,
        follow following: FileFollowing = .no, lineLimit: Int = 1 << 20
    ) -> Source {
        Source("jsonLines") { inlet in
            let decoder = JSONEventDecoder()
            try await LineReader(inlet: inlet, origin: path, lineLimit: lineLimit) {
                $0.isEmpty ? nil : try decoder.decode(Element.self, from: $0)
            }.read(path, following)
        }
    }

    /// The events of standard input with one JSON document on each line; see ``jsonLines(ofFile:as:follow:lineLimit:)``.
    ///
    /// **Emits when** a line is complete. **Suspends upstream when** the mailbox is full: it stops reading.
    /// **Finishes when** the input ends. **Cancels when** the topology drains.
    public static func jsonLines(
        _ input: LineInput, as type: Element.Type = Element.self, lineLimit: Int = 1 << 20
    ) -> Source {
        Source("jsonLines", endpoint: "standard input") { inlet in
            let decoder = JSONEventDecoder()
            try await LineReader(inlet: inlet, origin: "standard input", lineLimit: lineLimit) {
                $0.isEmpty ? nil : try decoder.decode(Element.self, from: $0)
            }.readStandardInput()
        }
    }
}

extension LineReader {
    func read(_ path: String, _ following: FileFollowing) async throws {
        guard let start = following.start else { return try await readFile(path) }
        try await follow(path, fromEnd: start.isEnd, polling: following.interval)
    }
}

private struct InvalidLine: Error, CustomStringConvertible {
    let description: String
}
