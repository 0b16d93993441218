#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#endif

/// A call on a file failed.
public struct FileError: SinkUnavailable, CustomStringConvertible {
    /// The file.
    public let path: String

    /// What was tried, such as `write`.
    public let action: String

    /// The system's error number.
    public let code: Int32

    /// What happened, with the system's text.
    public var description: String {
        "cannot \(action) '\(path)': \(String(cString: strerror(code))) (errno \(code))"
    }
}

/// What tells one file from another under the same name.
struct FileIdentity: Sendable, Hashable {
    let device: UInt64
    let inode: UInt64

    /// Both in one number, for positions.
    var code: UInt64 { inode ^ (device &* 0x9E37_79B9_7F4A_7C15) }
}

/// An open file; closed when the last reference goes.
final class OpenFile: Sendable {
    enum Mode: Sendable { case read, append, truncate }

    let path: String
    let descriptor: Int32
    let identity: FileIdentity
    let isRegular: Bool
    private let ownsDescriptor: Bool

    /// Opens a file.
    ///
    /// - Returns: Nil when it is to be read and does not exist.
    static func open(_ path: String, _ mode: Mode) throws(FileError) -> OpenFile? {
        let flags: Int32 =
            switch mode {
            case .read: O_RDONLY | O_CLOEXEC
            case .append: O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC
            case .truncate: O_RDWR | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC
            }
        var descriptor = systemOpen(path, flags)
        if descriptor < 0, errno == EACCES || errno == EPERM, mode != .read {
            descriptor = systemOpen(path, flags & ~O_RDWR | O_WRONLY)
        }
        if descriptor < 0 {
            if errno == ENOENT, mode == .read { return nil }
            throw FileError(path: path, action: "open", code: errno)
        }
        return try OpenFile(path: path, descriptor: descriptor, owns: true)
    }

    /// A file that is open already and stays so, such as standard output.
    init(path: String, descriptor: Int32, owns: Bool) throws(FileError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let code = errno
            if owns { close(descriptor) }
            throw FileError(path: path, action: "look at", code: code)
        }
        self.path = path
        self.descriptor = descriptor
        ownsDescriptor = owns
        identity = FileIdentity(status)
        isRegular = status.st_mode & S_IFMT == S_IFREG
    }

    deinit {
        if ownsDescriptor { close(descriptor) }
    }

    /// The size in bytes now.
    func size() throws(FileError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw FileError(path: path, action: "look at", code: errno)
        }
        return Int(status.st_size)
    }

    /// The identity of the file that now has a name; nil when there is none.
    static func identity(of path: String) throws(FileError) -> FileIdentity? {
        var status = stat()
        if stat(path, &status) == 0 { return FileIdentity(status) }
        if errno == ENOENT { return nil }
        throw FileError(path: path, action: "look at", code: errno)
    }

    /// Reads at most `count` bytes; none at the end.
    ///
    /// From a position, or where the descriptor stands when nil.
    func read(_ count: Int, at position: Int?) throws(FileError) -> [UInt8] {
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var result: Int
            repeat {
                if let position {
                    result = pread(descriptor, buffer.baseAddress, count, off_t(position))
                } else {
                    result = systemRead(descriptor, buffer.baseAddress, count)
                }
            } while result < 0 && errno == EINTR
            if result < 0 { code = errno }
            // Safety: the system has written exactly `result` bytes to the front of the buffer.
            initialized = max(0, result)
        }
        if code != 0 { throw FileError(path: path, action: "read", code: code) }
        return bytes
    }

    /// Writes all bytes.
    func write(_ bytes: [UInt8]) throws(FileError) {
        var written = 0
        while written < bytes.count {
            let result = bytes.withUnsafeBytes { buffer in
                // Safety: the range lies within the array, which outlives the call.
                systemWrite(descriptor, buffer[written...].baseAddressOrNil, bytes.count - written)
            }
            if result < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN {
                    waitUntilWritable()
                    continue
                }
                throw FileError(path: path, action: "write", code: errno)
            }
            written += result
        }
    }

    private func waitUntilWritable() {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&entry, 1, 1_000)
    }

    func truncate(to size: Int) throws(FileError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else {
            throw FileError(path: path, action: "truncate", code: errno)
        }
    }

    /// Makes the contents durable; does nothing for what cannot be, such as a pipe.
    func synchronize() throws(FileError) {
        guard fsync(descriptor) != 0, errno != EINVAL, errno != EROFS else { return }
        throw FileError(path: path, action: "fsync", code: errno)
    }
}

extension FileIdentity {
    fileprivate init(_ status: stat) {
        device = UInt64(truncatingIfNeeded: status.st_dev)
        inode = UInt64(truncatingIfNeeded: status.st_ino)
    }
}

extension Slice where Base == UnsafeRawBufferPointer {
    fileprivate var baseAddressOrNil: UnsafeRawPointer? {
        UnsafeRawBufferPointer(rebasing: self).baseAddress
    }
}

private func systemOpen(_ path: String, _ flags: Int32) -> Int32 {
    open(path, flags, 0o644)
}

private func systemRead(
    _ file: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int
) -> Int {
    read(file, bytes, count)
}

private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(file, bytes, count)
}
