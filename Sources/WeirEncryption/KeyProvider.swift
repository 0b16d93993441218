internal import COpenSSL

/// A secret key of 256 bits with a number that is stored beside what it seals.
public struct EncryptionKey: Sendable, CustomStringConvertible {
    /// The key's number, unique among all keys that a store was ever written with.
    public let id: UInt16

    let secret: [UInt8]

    /// Takes a key of exactly 32 bytes; nil for any other length.
    public init?(id: UInt16, bytes: some Sequence<UInt8>) {
        secret = Array(bytes)
        self.id = id
        guard secret.count == 32 else { return nil }
    }

    /// Takes a key of 64 hexadecimal digits; nil for anything else.
    public init?(id: UInt16, hexadecimal: some StringProtocol) {
        let digits = hexadecimal.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == 64, hexadecimal.utf8.count == 64 else { return nil }
        let bytes = stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        self.init(id: id, bytes: bytes)
    }

    /// Makes a random key; nil when the system has no randomness to give.
    public static func random(id: UInt16) -> EncryptionKey? {
        var bytes = [UInt8](repeating: 0, count: 32)
        guard RAND_bytes(&bytes, 32) == 1 else { return nil }
        return EncryptionKey(id: id, bytes: bytes)
    }

    /// The key's number; its bytes are never part of a text.
    public var description: String { "encryption key \(id)" }
}

extension EncryptionKey: CustomReflectable {
    /// Shows the number alone, so that `dump` and a debugger's log hide the secret.
    public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

/// Where an application keeps its keys.
///
/// Called on threads that write and read journals, so a provider of a remote key service
/// fetches beforehand and answers from memory.
public protocol KeyProvider: Sendable {
    /// The key that seals what is written from now on.
    var currentKey: EncryptionKey { get }

    /// Returns the key of a number, for reading what it sealed; nil when it is not known.
    func key(_ id: UInt16) -> EncryptionKey?
}

/// Keys that do not change while the program runs.
public struct FixedKeys: KeyProvider {
    /// The key that seals what is written.
    public let currentKey: EncryptionKey

    private let keys: [UInt16: EncryptionKey]

    /// One key for writing, and older ones that what was written earlier may need.
    public init(current: EncryptionKey, older: [EncryptionKey] = []) {
        currentKey = current
        keys = Dictionary((older + [current]).map { ($0.id, $0) }) { $1 }
    }

    /// Returns the key of a number; nil when it was not given.
    public func key(_ id: UInt16) -> EncryptionKey? { keys[id] }
}
