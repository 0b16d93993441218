import COpenSSL
public import Logging

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Knows peers by keys that they show as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
///
/// Only hashes are kept: SHA-256 of the key, or of a salt and the key. That is safe for keys of
/// at least 128 random bits (``makeKey()``), not for passwords that people think of.
///
/// ```swift
/// let keys = try APIKeys(file: "/etc/weir/keys")
/// // till-7 ingest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
/// ```
public struct APIKeys: Authenticator {
    /// One key as it is kept.
    public struct Entry: Sendable, Hashable {
        /// Whose it is.
        public let name: String
        /// What they may do.
        public let roles: AccessRoles
        let salt: [UInt8]
        let digest: [UInt8]

        /// Keeps the SHA-256 of a key in hexadecimal, as `printf %s KEY | sha256sum` says it.
        ///
        /// - Parameter salt: Bytes that were hashed in front of the key; none by default.
        /// - Throws: ``NetworkError/Code/invalidArgument`` when it is not 64 hexadecimal digits.
        public init(
            _ name: String, roles: AccessRoles, sha256: String, salt: [UInt8] = []
        ) throws(NetworkError) {
            guard let digest = APIKeys.bytes(hexadecimal: sha256), digest.count == 32 else {
                throw NetworkError(
                    .invalidArgument,
                    "the key of '\(name.visible)' is not a SHA-256 of 64 hexadecimal digits"
                )
            }
            self.name = name
            self.roles = roles
            self.salt = salt
            self.digest = digest
        }

        /// Keeps the hash of a key with a fresh salt.
        public init(_ name: String, roles: AccessRoles, key: String) {
            self.name = name
            self.roles = roles
            salt = APIKeys.random(16)
            digest = SHA256Digest.of(salt, Array(key.utf8))
        }

        /// The line of a file that says the same.
        public var line: String {
            let roles = roles.names.joined(separator: ",")
            let salt = salt.isEmpty ? "" : "\(APIKeys.hexadecimal(salt)):"
            return "\(name) \(roles) sha256:\(salt)\(APIKeys.hexadecimal(digest))"
        }
    }

    /// Salted keys that can be had: each of them is tried for each request.
    public static let saltedMax = 1_000

    private let store: KeyStore

    /// Knows these keys.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` for more salted ones than ``saltedMax``.
    public init(_ entries: [Entry]) throws(NetworkError) {
        store = try KeyStore(entries)
    }

    /// Reads keys from a file: a line `NAME ROLE,ROLE sha256:[SALT:]HEX` each; `#` begins a comment.
    ///
    /// When the file has changed it is read again. A key that is not in it any more counts no more, and who
    /// has come with it and is still connected is disconnected within a second. A file that cannot be
    /// used changes nothing, and the log says so. Replace the file as a whole, by renaming: half of one revokes
    /// what is in the other half.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - reloadInterval: Looks at most this often, when somebody comes or is connected, whether
    ///     the file has changed; 10 s by default, nil for never.
    ///   - logger: Where it is told that the file was read again, or could not be.
    /// - Throws: ``NetworkError/Code/invalidArgument`` with the line that is wrong.
    public init(
        file path: String, reloadInterval: Duration? = .seconds(10),
        logger: Logger = Logger(label: "weir.network")
    ) throws(NetworkError) {
        store = try KeyStore(
            KeyStore.File(path: path, interval: reloadInterval, logger: logger))
    }

    /// Reads the file again; from any thread.
    ///
    /// Does nothing for keys that are from no file.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument``: nothing has changed then.
    public func reload() throws(NetworkError) { try store.reload() }

    static func entries(inFile path: String) throws(NetworkError) -> [Entry] {
        let text = try SecretFile.read(path)
        var entries: [Entry] = []
        for (index, line) in text.split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline
        )
        .enumerated() {
            let parts = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
            if parts.isEmpty || parts[0].hasPrefix("#") { continue }
            entries.append(try Self.entry(parts, "\(path), line \(index + 1)"))
        }
        return entries
    }

    private static func entry(_ parts: [Substring], _ place: String) throws(NetworkError) -> Entry {
        func wrong(_ why: String) -> NetworkError {
            NetworkError(
                .invalidArgument, "\(place): \(why); write NAME ROLE,ROLE sha256:[SALT:]HEX")
        }
        guard parts.count == 3, parts[2].hasPrefix("sha256:") else {
            throw wrong("it does not have three parts")
        }
        var roles: AccessRoles = []
        for word in parts[1].split(separator: ",") {
            guard let role = AccessRoles(name: String(word)) else {
                throw wrong("'\(String(word).visible)' is none of ingest, read, operate")
            }
            roles.formUnion(role)
        }
        let hashes = parts[2].dropFirst(7).split(separator: ":", omittingEmptySubsequences: false)
        guard hashes.count <= 2, let last = hashes.last,
            let salt = hashes.count == 2 ? bytes(hexadecimal: String(hashes[0])) : [],
            hashes.count == 1 || !salt.isEmpty
        else { throw wrong("the salt is not hexadecimal") }
        do {
            return try Entry(String(parts[0]), roles: roles, sha256: String(last), salt: salt)
        } catch {
            throw wrong(error.message)
        }
    }

    /// `Bearer`.
    public var challenge: String? { "Bearer" }

    /// Looks a key up; what is no key of these is left to the next authenticator.
    public func authenticate(_ credentials: Credentials) -> AuthenticationVerdict {
        guard let key = credentials.apiKey ?? credentials.bearerToken else { return .notMine }
        let isForKeysOnly = credentials.apiKey != nil
        guard !key.isEmpty, key.utf8.count <= Credentials.tokenBytesMax, let known = find(key)
        else {
            return isForKeysOnly ? .refused(.invalid) : .notMine
        }
        var identity = Identity(known.entry.name, roles: known.entry.roles, method: "api-key")
        if store.mayChange { identity.standing.counts = { [store] in store.counts(known) } }
        return .accepted(identity)
    }

    /// Finds a key; takes the same time whichever salted one it is.
    private func find(_ key: String) -> KeyStore.Known? {
        let bytes = Array(key.utf8)
        let table = store.current
        // Whoever could steer this look-up by its time would have to invert SHA-256 first.
        var found = table.plain[SHA256Digest.of([], bytes)]
        for known in table.salted {
            let digest = SHA256Digest.of(known.entry.salt, bytes)
            if SHA256Digest.areEqual(digest, known.entry.digest) { found = known }
        }
        return found
    }

    /// A fresh key of 256 random bits as text.
    public static func makeKey() -> String { "weir_" + Base64URL.encode(random(32)) }

    static func random(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    static func bytes(hexadecimal text: String) -> [UInt8]? {
        let digits = text.utf8.map(HTTPSyntax.hexadecimal)
        guard digits.count % 2 == 0, !digits.contains(nil) else { return nil }
        let values = digits.compactMap { $0 }
        return stride(from: 0, to: values.count, by: 2).map {
            UInt8(values[$0] << 4 | values[$0 + 1])
        }
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}

/// SHA-256 by OpenSSL.
package enum SHA256Digest {
    package static func of(_ first: [UInt8], _ second: [UInt8]) -> [UInt8] {
        of(first + second)
    }

    package static func of(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { of($0) }
    }

    package static func of(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        SHA256(bytes.baseAddress, bytes.count, &digest)
        return digest
    }

    /// Compares in a time that tells nothing of where they differ.
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }
}

/// A file with secrets or what guards them.
package enum SecretFile {
    /// Bytes of the longest file that is read.
    private static let bytesMax = 4 << 20

    package static func read(_ path: String) throws(NetworkError) -> String {
        guard let file = fopen(path, "rb") else {
            throw NetworkError(
                .invalidArgument, "\(path) cannot be read", cause: String(cString: strerror(errno)))
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 * 1_024)
        while case let count = fread(&piece, 1, piece.count, file), count > 0 {
            bytes.append(contentsOf: piece[..<count])
            guard bytes.count <= bytesMax else {
                throw NetworkError(.invalidArgument, "\(path) is longer than \(bytesMax) bytes")
            }
        }
        guard ferror(file) == 0, let text = String(validating: bytes, as: UTF8.self) else {
            throw NetworkError(.invalidArgument, "\(path) is not UTF-8, or cannot be read")
        }
        return text
    }
}
