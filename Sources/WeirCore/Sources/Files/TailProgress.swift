import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#endif

/// How far a file has been read, kept over restarts of its source.
final class TailProgress: Sendable {
    private let locked = Mutex<FileTail.Position?>(nil)

    var position: FileTail.Position? {
        get { locked.withLock { $0 } }
        set { locked.withLock { $0 = newValue } }
    }
}

extension FileError {
    static let noSuchFile = ENOENT
}

extension OpenFile {
    /// Waits until there is something to read; false when the other side of a pipe was written to first.
    func waitUntilReadable(or other: Pipe) -> Bool {
        var entries = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: other.readEnd, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&entries, nfds_t(entries.count), -1) < 0 && errno == EINTR {}
        return entries[1].revents == 0
    }
}
