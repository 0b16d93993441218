import COpenSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

extension TLSMaterial {
    /// A file with more bytes is refused.
    private static let fileBytesMax = 4 << 20

    /// Reads the PEM text.
    func load(_ purpose: String) throws(NetworkError) -> [UInt8] {
        guard case .file(let path) = self else {
            if case .bytes(let bytes) = self { return bytes }
            return []
        }
        guard let file = fopen(path, "rb") else {
            throw Self.unreadable(purpose, path, String(cString: strerror(errno)))
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        let count = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64 << 10) { buffer in
            while bytes.count <= Self.fileBytesMax {
                let count = fread(buffer.baseAddress, 1, buffer.count, file)
                if count == 0 { break }
                bytes.append(contentsOf: buffer.prefix(count))
            }
            return bytes.count
        }
        if ferror(file) != 0 {
            throw Self.unreadable(purpose, path, "it cannot be read; is it a directory?")
        }
        guard count <= Self.fileBytesMax else {
            throw Self.unreadable(purpose, path, "it is longer than \(Self.fileBytesMax) bytes")
        }
        return bytes
    }

    private static func unreadable(
        _ purpose: String, _ path: String, _ why: String
    ) -> NetworkError {
        NetworkError(.invalidArgument, "the \(purpose) \(path) cannot be read: \(why)")
    }

    /// What tells one state of a file from the next; nil without a file.
    var stamp: [Int]? {
        path.map { FileStamp.of($0) }
    }
}

/// PEM objects on their way into an OpenSSL context.
enum PEM {
    /// Certificates that are read of one text; the system's bundle has some 150.
    private static let certificatesMax = 1_024

    /// Gives each certificate of a PEM text, valid during the call; returns how many there are.
    static func forEachCertificate(
        in text: [UInt8], _ body: (OpaquePointer) throws(NetworkError) -> Void
    ) throws(NetworkError) -> Int {
        guard let input = reader(text) else { return 0 }
        defer { BIO_free(input) }
        var count = 0
        while count < certificatesMax, let certificate = PEM_read_bio_X509(input, nil, nil, nil) {
            defer { X509_free(certificate) }
            try body(certificate)
            count += 1
        }
        // The end of the text is an error of its own.
        ERR_clear_error()
        return count
    }

    /// Reads a private key; the caller frees it.
    static func privateKey(in text: [UInt8], password: String?) -> OpaquePointer? {
        guard let input = reader(text) else { return nil }
        defer { BIO_free(input) }
        // Without a text of ours OpenSSL would ask the terminal.
        var password = Array((password ?? "").utf8CString)
        return password.withUnsafeMutableBytes {
            PEM_read_bio_PrivateKey(input, nil, nil, $0.baseAddress)
        }
    }

    /// A reader with a copy of the text.
    private static func reader(_ text: [UInt8]) -> OpaquePointer? {
        guard let output = BIO_new(BIO_s_mem()) else { return nil }
        let written = text.withUnsafeBytes {
            BIO_write(output, $0.baseAddress, Int32(clamping: $0.count))
        }
        if written == text.count { return output }
        BIO_free(output)
        return nil
    }
}
