import WeirJournal

/// Reads the sections of a checkpoint's file one by one, so that it may be larger than memory.
struct PartReader {
    /// How many bytes the file has.
    let size: Int
    private let cipher: (any RecordCipher)?
    private let file: (any StoredFile)?
    private let bytes: [UInt8]

    /// - Parameter cipher: Opens what is encrypted; nil when the run has no keys.
    init(
        _ files: any FileSystem, _ path: String, cipher: (any RecordCipher)?
    ) throws(ManifestProblem) {
        do throws(StorageError) {
            let file = try files.open(path, .read)
            size = try file.size
            self.file = file
        } catch {
            throw ManifestProblem(description: "\(error)")
        }
        self.cipher = cipher
        bytes = []
    }

    /// Reads a plain file that is in memory.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        size = bytes.count
        cipher = nil
        file = nil
    }

    func close() {
        file?.close()
    }

    /// Calls `body` with each section until it returns false; returns how many sections there are.
    ///
    /// - Parameter isWanted: Whether a section is read and checked; all are if nil, or if the file
    ///   is encrypted.
    /// - Throws: ``ManifestProblem`` that says at which offset the file is damaged.
    func forEach(
        where isWanted: ((_ id: String, _ group: Int) -> Bool)? = nil,
        _ body: (PartSection) -> Bool
    ) throws(ManifestProblem) -> Int {
        var count = 0
        var offset = 0
        var opener = try makeOpener()
        if opener != nil { offset = PartSealer.headerSize }
        while offset < size {
            count += 1
            if opener == nil, let isWanted {
                let (length, _) = try header(at: offset)
                let (id, group) = try name(at: offset + 8, length)
                if !isWanted(id, group) {
                    offset += 8 + length
                    continue
                }
            }
            var content = try checkedBody(at: offset)
            let end = offset + 8 + content.count
            if opener != nil {
                do throws(StorageError) {
                    content = try opener?.open(content) ?? content
                } catch {
                    throw ManifestProblem(description: "it can't be decrypted: \(error)")
                }
            }
            guard let section = PartSection(body: content) else { throw Self.damaged(offset) }
            offset = end
            if opener != nil, let isWanted, !isWanted(section.id, section.group) { continue }
            if !body(section) { return count }
        }
        return count
    }

    /// Whether the file is encrypted.
    var isSealed: Bool {
        get throws(ManifestProblem) {
            try read(min(size, PartSealer.headerSize), at: 0, of: 0)
                .starts(with: PartSealer.magic)
        }
    }

    /// Checks the sections of an encrypted file without opening them; returns how many there are.
    ///
    /// - Throws: ``ManifestProblem`` that says at which offset the file is damaged.
    func checkSums() throws(ManifestProblem) -> Int {
        var count = 0
        var offset = PartSealer.headerSize
        while offset < size {
            offset += 8 + (try checkedBody(at: offset)).count
            count += 1
        }
        return count
    }

    private func makeOpener() throws(ManifestProblem) -> PartSealer? {
        let start = try read(min(size, PartSealer.headerSize), at: 0, of: 0)
        guard start.starts(with: PartSealer.magic) else { return nil }
        guard let cipher else {
            throw ManifestProblem(description: "it is encrypted, and the run has no keys")
        }
        guard let opener = PartSealer(cipher: cipher, header: start) else {
            throw Self.damaged(0)
        }
        return opener
    }

    /// The length of a section's body, and its checksum.
    private func header(at offset: Int) throws(ManifestProblem) -> (length: Int, sum: UInt32) {
        let header = try read(8, at: offset, of: offset)
        let length = Int(header.number(UInt32.self, at: 0))
        guard length >= 4, length <= size - offset - 8 else { throw Self.damaged(offset) }
        return (length, header.number(UInt32.self, at: 4))
    }

    /// The body of a section, whose checksum was right.
    private func checkedBody(at offset: Int) throws(ManifestProblem) -> [UInt8] {
        let (length, sum) = try header(at: offset)
        let content = try read(length, at: offset + 8, of: offset)
        guard content.withUnsafeBytes({ Checksum.of($0) }) == sum else {
            throw Self.damaged(offset)
        }
        return content
    }

    /// The name and the group of the section whose body begins at `start`.
    private func name(
        at start: Int, _ length: Int
    ) throws(ManifestProblem) -> (id: String, group: Int) {
        let head = try read(min(length, 64), at: start, of: start - 8)
        let needed = 4 + Int(head.number(UInt16.self, at: 0))
        guard needed <= length else { throw Self.damaged(start - 8) }
        let whole = needed <= head.count ? head : try read(needed, at: start, of: start - 8)
        guard let named = PartSection(body: Array(whole.prefix(needed))) else {
            throw Self.damaged(start - 8)
        }
        return (named.id, named.group)
    }

    /// Exactly so many bytes.
    ///
    /// - Parameter section: The offset at which the file is damaged if it ends too early.
    private func read(
        _ count: Int, at offset: Int, of section: Int
    ) throws(ManifestProblem) -> [UInt8] {
        guard count <= size - offset else { throw Self.damaged(section) }
        guard let file else { return Array(bytes[offset..<(offset + count)]) }
        do throws(StorageError) {
            let read = try file.read(count, at: offset)
            if read.count == count { return read }
        } catch {
            throw ManifestProblem(description: "\(error)")
        }
        throw Self.damaged(section)
    }

    private static func damaged(_ offset: Int) -> ManifestProblem {
        ManifestProblem(description: "it is damaged at offset \(offset)")
    }
}
