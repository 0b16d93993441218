#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// The file system of the machine, by POSIX calls.
package struct LocalFileSystem: FileSystem {
    package init() {}

    package func createDirectory(_ path: String) throws(StorageError) {
        if mkdir(path, 0o755) == 0 {
            return try syncDirectory(Self.parent(of: path))
        }
        switch errno {
        case EEXIST where Self.isDirectory(path): return
        case ENOENT where Self.parent(of: path) != path:
            try createDirectory(Self.parent(of: path))
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
                throw StorageError(errno: errno, path: path, action: "create directory")
            }
            try syncDirectory(Self.parent(of: path))
        default: throw StorageError(errno: errno, path: path, action: "create directory")
        }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any StoredFile {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR | O_CREAT
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            }
        return LocalFile(
            descriptor: try openDescriptor(path, flags, action: "open"), path: path)
    }

    package func list(_ directory: String) throws(StorageError) -> [String] {
        guard let handle = opendir(directory) else {
            throw StorageError(errno: errno, path: directory, action: "list")
        }
        defer { closedir(handle) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(handle) {
            // Safety: the name is a C string inside the entry, valid until the next readdir.
            let offset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
            let name = String(
                cString: (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self))
            if name != ".", name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else {
            throw StorageError(errno: errno, path: directory, action: "list")
        }
        return names.sorted()
    }

    package func exists(_ path: String) throws(StorageError) -> Bool {
        if access(path, F_OK) == 0 { return true }
        guard errno == ENOENT || errno == ENOTDIR else {
            throw StorageError(errno: errno, path: path, action: "look up")
        }
        return false
    }

    package func rename(_ from: String, to: String) throws(StorageError) {
        guard renameFile(from, to) == 0 else {
            throw StorageError(errno: errno, path: from, action: "rename")
        }
    }

    package func remove(_ path: String) throws(StorageError) {
        guard removeFile(path) == 0 else {
            throw StorageError(errno: errno, path: path, action: "remove")
        }
    }

    package func syncDirectory(_ path: String) throws(StorageError) {
        let descriptor = try openDescriptor(
            path, O_RDONLY | O_DIRECTORY, action: "synchronize directory")
        defer { closeDescriptor(descriptor) }
        guard retrying({ fsync(descriptor) }) == 0 else {
            throw StorageError(errno: errno, path: path, action: "synchronize directory")
        }
    }

    package func lock(_ path: String) throws(StorageError) -> any FileLock {
        let descriptor = try openDescriptor(path, O_RDWR | O_CREAT, action: "lock")
        guard retrying({ flock(descriptor, LOCK_EX | LOCK_NB) }) == 0 else {
            let number = errno
            defer { closeDescriptor(descriptor) }
            guard number == EWOULDBLOCK else {
                throw StorageError(errno: number, path: path, action: "lock")
            }
            throw StorageError(
                .locked(by: Self.processNumber(in: descriptor)), path: path, action: "lock")
        }
        let lock = LocalLock(descriptor: descriptor)
        var text = Array("\(getpid())\n".utf8)
        guard ftruncate(descriptor, 0) == 0,
            pwrite(descriptor, &text, text.count, 0) == text.count
        else { throw StorageError(errno: errno, path: path, action: "lock") }
        return lock
    }

    private static func isDirectory(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
    }

    private static func processNumber(in descriptor: Int32) -> Int32? {
        var text = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &text, text.count, 0)
        guard count > 0 else { return nil }
        let digits = text.prefix(count).prefix { (48...57).contains($0) }
        return Int32(String(decoding: digits, as: UTF8.self))
    }
}

/// Outside of the type, whose methods have the names of these functions.
private func renameFile(_ from: String, _ to: String) -> Int32 { rename(from, to) }

private func removeFile(_ path: String) -> Int32 { remove(path) }

private func openDescriptor(
    _ path: String, _ flags: Int32, action: String
) throws(StorageError) -> Int32 {
    let descriptor = retrying { open(path, flags | O_CLOEXEC, 0o644) }
    guard descriptor >= 0 else { throw StorageError(errno: errno, path: path, action: action) }
    return descriptor
}
