internal import COpenSSL
internal import Synchronization
package import WeirJournal

/// AES-256-GCM for the records of a journal (NIST SP 800-38D).
///
/// Each segment has a key of its own, derived from the provider's key and the segment's 128
/// random bits by HKDF-Expand with SHA-256 (RFC 5869). The nonce is the record's position, which
/// a segment holds once. So no nonce is used twice with a key, however many records there are.
package final class RecordEncryption: RecordCipher {
    private struct Name: Hashable {
        var segment: SegmentIdentity
        var key: UInt16
        var isSealing: Bool
    }

    private let keys: any KeyProvider
    private let contexts = Mutex<[Name: CipherContext]>([:])

    /// Contexts of segments in use at once: the writer's and those of readers.
    private let maximumContexts: Int

    package init(keys: any KeyProvider, maximumContexts: Int = 16) {
        self.keys = keys
        self.maximumContexts = maximumContexts
    }

    package var overhead: Int { CipherContext.tagSize }

    package var sealingKey: UInt16 { keys.currentKey.id }

    package func seal(
        _ plain: UnsafeRawBufferPointer, into sealed: UnsafeMutableRawBufferPointer,
        name: RecordName
    ) throws(StorageError) {
        let isDone = try with(name, isSealing: true) { context in
            context.seal(
                plain, into: sealed, nonce: name.position, authenticating: name.authenticated)
        }
        guard isDone else { throw failure(.system(0), "seal", name) }
    }

    package func open(
        _ sealed: UnsafeRawBufferPointer, into plain: UnsafeMutableRawBufferPointer,
        name: RecordName
    ) throws(StorageError) {
        let isDone = try with(name, isSealing: false) { context in
            context.open(
                sealed, into: plain, nonce: name.position, authenticating: name.authenticated)
        }
        guard isDone else { throw failure(.wrongKey(name.key), "decrypt", name) }
    }

    private func with(
        _ name: RecordName, isSealing: Bool, _ body: (CipherContext) -> Bool
    ) throws(StorageError) -> Bool {
        try contexts.withLock { (contexts) throws(StorageError) in
            let key = Name(segment: name.segment, key: name.key, isSealing: isSealing)
            if let context = contexts[key] { return body(context) }
            guard let secret = keys.key(name.key)?.secret else {
                throw failure(.wrongKey(name.key), isSealing ? "seal" : "decrypt", name)
            }
            var derived = SegmentKey.derive(from: secret, segment: name.segment)
            defer { OPENSSL_cleanse(&derived, derived.count) }
            guard let context = CipherContext(key: derived, isSealing: isSealing) else {
                throw failure(.system(12), isSealing ? "seal" : "decrypt", name)
            }
            if contexts.count >= maximumContexts { contexts.removeAll() }
            contexts[key] = context
            return body(context)
        }
    }

    private func failure(
        _ code: StorageError.Code, _ action: String, _ name: RecordName
    ) -> StorageError {
        StorageError(code, path: "record \(name.position)", action: action)
    }
}

extension RecordName {
    /// What a sealed record is bound to: moved anywhere else it does not open.
    fileprivate var authenticated: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(27)
        for word in [segment.low, segment.high, position] {
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
        bytes.append(kind)
        bytes.append(UInt8(truncatingIfNeeded: key))
        bytes.append(UInt8(truncatingIfNeeded: key >> 8))
        return bytes
    }
}

/// The key of one segment.
enum SegmentKey {
    /// HKDF-Expand of one block: HMAC(secret, "weir segment" || identity || 1).
    static func derive(from secret: [UInt8], segment: SegmentIdentity) -> [UInt8] {
        var information = Array("weir segment".utf8)
        for word in [segment.low, segment.high] {
            withUnsafeBytes(of: word.littleEndian) { information.append(contentsOf: $0) }
        }
        information.append(1)
        return authenticate(information, key: secret)
    }

    /// HMAC with SHA-256 (RFC 2104) for keys of at most 64 bytes.
    static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        var block = key + [UInt8](repeating: 0, count: max(0, 64 - key.count))
        defer { OPENSSL_cleanse(&block, block.count) }
        let inner = digest(block.map { $0 ^ 0x36 } + message)
        return digest(block.map { $0 ^ 0x5C } + inner)
    }

    private static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: 32)
        SHA256(bytes, bytes.count, &result)
        return result
    }
}
