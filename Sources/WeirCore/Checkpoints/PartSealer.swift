import WeirJournal

/// Seals the sections of one file, one after the other, or opens them in the same order.
struct PartSealer: Sendable {
    static let magic: [UInt8] = Array("WPE1".utf8)
    static let headerSize = 20
    /// Tells a section of a checkpoint from records of a journal.
    private static let kind: UInt8 = 0xC0

    private let cipher: any RecordCipher
    private let identity: SegmentIdentity
    /// How many sections have been sealed or opened.
    private(set) var count: UInt64 = 0

    /// For a new file.
    init(_ cipher: any RecordCipher) {
        self.cipher = cipher
        identity = SegmentIdentity(
            low: .random(in: .min ... .max), high: .random(in: .min ... .max))
    }

    /// For a file that is read; nil when its header is cut short.
    init?(cipher: any RecordCipher, header file: [UInt8]) {
        guard file.count >= Self.headerSize else { return nil }
        self.cipher = cipher
        identity = SegmentIdentity(
            low: file.number(UInt64.self, at: 4), high: file.number(UInt64.self, at: 12))
    }

    var header: [UInt8] {
        var bytes = Self.magic
        bytes.appendNumber(identity.low)
        bytes.appendNumber(identity.high)
        return bytes
    }

    /// The number of the key, and the sealed body.
    mutating func seal(_ body: [UInt8]) throws(StorageError) -> [UInt8] {
        let key = cipher.sealingKey
        var sealed: [UInt8] = []
        sealed.appendNumber(key)
        sealed.append(contentsOf: repeatElement(0, count: body.count + cipher.overhead))
        let name = name(key)
        try body.withBytes { plain throws(StorageError) in
            try sealed.withMutableBytes { bytes throws(StorageError) in
                try cipher.seal(
                    plain, into: UnsafeMutableRawBufferPointer(rebasing: bytes[2...]), name: name)
            }
        }
        count += 1
        return sealed
    }

    mutating func open(_ sealed: [UInt8]) throws(StorageError) -> [UInt8] {
        guard sealed.count >= 2 + cipher.overhead else {
            throw StorageError(.wrongKey(0), path: "part", action: "decrypt")
        }
        let name = name(sealed.number(UInt16.self, at: 0))
        var plain = [UInt8](repeating: 0, count: sealed.count - 2 - cipher.overhead)
        try sealed.withBytes { bytes throws(StorageError) in
            try plain.withMutableBytes { plain throws(StorageError) in
                try cipher.open(
                    UnsafeRawBufferPointer(rebasing: bytes[2...]), into: plain, name: name)
            }
        }
        count += 1
        return plain
    }

    private func name(_ key: UInt16) -> RecordName {
        RecordName(segment: identity, position: count, kind: Self.kind, key: key)
    }

    /// The sections of a plain file in a sealed one.
    static func seal(file: [UInt8], with cipher: any RecordCipher) throws -> [UInt8] {
        var sealer = PartSealer(cipher)
        var sealed: [UInt8] = []
        var failed: (any Error)?
        _ = try PartReader(file).forEach { section in
            do {
                try section.append(to: &sealed, sealer: &sealer)
            } catch {
                failed = error
            }
            return failed == nil
        }
        if let failed { throw failed }
        return sealed
    }
}
