import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#endif

/// What changes with a file, as far as can be told without reading it.
enum FileStamp {
    /// Empty for a file that isn't there.
    static func of(_ path: String) -> [Int] {
        var status = stat()
        guard stat(path, &status) == 0 else { return [] }
        #if canImport(Darwin)
            let time = status.st_mtimespec
        #else
            let time = status.st_mtim
        #endif
        return [
            Int(status.st_ino), Int(status.st_size), Int(time.tv_sec), Int(time.tv_nsec),
        ]
    }
}

/// Says that files can't be read again: once, until they can.
final class ReloadWarning: Sendable {
    private let isGiven = Atomic(false)

    /// - Parameter what: What stays as it was.
    func give(_ error: any Error, about what: String, to logger: Logger) {
        if isGiven.exchange(true, ordering: .relaxed) { return }
        logger.warning(
            "\(what) cannot be read again; the old ones stay", metadata: ["error": "\(error)"])
    }

    /// The files have been read.
    func takeBack() { isGiven.store(false, ordering: .relaxed) }
}
