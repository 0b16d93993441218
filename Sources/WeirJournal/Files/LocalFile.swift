internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// An open file of the machine.
final class LocalFile: StoredFile {
    private let descriptor: Atomic<Int32>
    private let path: String

    init(descriptor: Int32, path: String) {
        self.descriptor = Atomic(descriptor)
        self.path = path
    }

    deinit { close() }

    func read(
        at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(StorageError) -> Int {
        let descriptor = try openDescriptor("read")
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = retrying {
                pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            }
            guard count >= 0 else { throw failure("read") }
            if count == 0 { break }
            done += count
        }
        return done
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StorageError) {
        let descriptor = try openDescriptor("write")
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = retrying {
                pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            }
            guard count > 0 else {
                if count == 0 { throw StorageError(.noSpace, path: path, action: "write") }
                throw failure("write")
            }
            done += count
        }
    }

    func allocate(_ size: Int) throws(StorageError) {
        #if canImport(Glibc) || canImport(Musl)
            let descriptor = try openDescriptor("allocate")
            var result: Int32
            repeat { result = posix_fallocate(descriptor, 0, off_t(size)) } while result == EINTR
            switch result {
            case 0: return
            case EOPNOTSUPP, ENOSYS, EINVAL: break
            default: throw StorageError(errno: result, path: path, action: "allocate")
            }
        #endif
        if try self.size < size { try truncate(to: size) }
    }

    func truncate(to size: Int) throws(StorageError) {
        let descriptor = try openDescriptor("truncate")
        guard retrying({ ftruncate(descriptor, off_t(size)) }) == 0 else {
            throw failure("truncate")
        }
    }

    func synchronize() throws(StorageError) {
        let descriptor = try openDescriptor("synchronize")
        #if canImport(Darwin)
            // fsync of Darwin leaves the bytes in the cache of the drive.
            if retrying({ fcntl(descriptor, F_FULLFSYNC) }) == 0 { return }
            guard errno == ENOTSUP, retrying({ fsync(descriptor) }) == 0 else {
                throw failure("synchronize")
            }
        #else
            guard retrying({ fdatasync(descriptor) }) == 0 else { throw failure("synchronize") }
        #endif
    }

    var size: Int {
        get throws(StorageError) {
            let descriptor = try openDescriptor("look up")
            var information = stat()
            guard fstat(descriptor, &information) == 0 else { throw failure("look up") }
            return Int(information.st_size)
        }
    }

    func close() {
        let descriptor = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
        if descriptor >= 0 { closeDescriptor(descriptor) }
    }

    private func openDescriptor(_ action: String) throws(StorageError) -> Int32 {
        let value = descriptor.load(ordering: .acquiring)
        guard value >= 0 else { throw StorageError(.closed, path: path, action: action) }
        return value
    }

    private func failure(_ action: String) -> StorageError {
        StorageError(errno: errno, path: path, action: action)
    }
}

/// A held `flock`, which the kernel releases with the descriptor.
final class LocalLock: FileLock {
    private let descriptor: Atomic<Int32>

    init(descriptor: Int32) { self.descriptor = Atomic(descriptor) }

    deinit { release() }

    func release() {
        let descriptor = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
        if descriptor >= 0 { closeDescriptor(descriptor) }
    }
}

/// Repeats a call that a signal interrupted.
func retrying<Number: FixedWidthInteger>(_ call: () -> Number) -> Number {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}

/// Outside of the types, whose method is called close as well.
func closeDescriptor(_ descriptor: Int32) { close(descriptor) }
