/// Follows a file under its name: through growth, truncation, and another file that takes the name.
///
/// Each ``step()`` looks at the files once. It runs on one thread at a time and knows nothing of waiting.
struct FileTail: Sendable {
    enum Step: Sendable {
        case bytes([UInt8])
        /// The file has come to its end for good: an open line is complete.
        case endOfFile
        /// Nothing new for now.
        case nothing
    }

    private let path: String
    private let portion: Int
    private var file: OpenFile?
    private var offset = 0
    private var startsAtEnd: Bool
    private var resumes: SourcePosition?
    /// Another file had the name at the last look: this one still gets what its writer has in hand.
    private var isReplaced = false

    /// - Parameters:
    ///   - fromEnd: Whether what the file holds at the first look is left out.
    ///   - portion: How many bytes are read at once at most.
    init(path: String, fromEnd: Bool, resumingAt position: SourcePosition?, portion: Int = 65_536) {
        self.path = path
        startsAtEnd = fromEnd && position == nil
        resumes = position
        self.portion = portion
    }

    /// Where it is in which file.
    var position: SourcePosition? {
        file.map { SourcePosition(offset: Int64(offset), identity: $0.identity.code) }
    }

    /// Whether the file exists.
    var isOpen: Bool { file != nil }

    mutating func step() throws(FileError) -> Step {
        guard let file else {
            try openFile()
            return .nothing
        }
        let bytes = try file.read(portion, at: file.isRegular ? offset : nil)
        if !bytes.isEmpty {
            offset += bytes.count
            isReplaced = false
            return .bytes(bytes)
        }
        if file.isRegular, try file.size() < offset {
            offset = 0
            return .endOfFile
        }
        let current = try OpenFile.identity(of: path)
        guard let current, current != file.identity else {
            isReplaced = false
            return .nothing
        }
        // Its writer may still have a line in hand: go on to the new file only after a second look finds no more.
        if !isReplaced {
            isReplaced = true
            return .nothing
        }
        self.file = nil
        isReplaced = false
        try openFile()
        return .endOfFile
    }

    private mutating func openFile() throws(FileError) {
        guard let opened = try OpenFile.open(path, .read) else {
            // What appears later is new from its first byte.
            startsAtEnd = false
            return
        }
        offset = 0
        if let resumes, resumes.identity == opened.identity.code,
            Int(resumes.offset) <= (try opened.size())
        {
            offset = Int(resumes.offset)
        } else if startsAtEnd {
            offset = try opened.size()
        }
        startsAtEnd = false
        resumes = nil
        file = opened
    }
}
