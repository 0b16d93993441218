#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// A failure of durable storage: of the disk, of a file's permissions, or of what a file holds.
///
/// What was asked for did not happen, or (`.io`, `.noSpace` in a write) happened in part; what
/// was durable before still is.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong, in the terms in which a program decides what to do about it.
    ///
    /// Cases are added in minor versions: keep a `default`.
    public enum Code: Hashable, Sendable {
        /// The disk or the quota is full; the same call succeeds once there is room.
        case noSpace
        /// The device failed: what was not synchronized before may be lost.
        case io
        /// The file system is mounted read-only.
        case readOnly
        /// The file or directory does not exist.
        case notFound
        /// A file of that name exists already.
        case alreadyExists
        /// The permissions of the file forbid the access.
        case denied
        /// Another process holds the lock; `nil` when its number could not be read.
        case locked(by: Int32?)
        /// The bytes of a file are not what was written.
        case corrupt(segment: String, offset: Int, reason: String)
        /// The file was written by another version or for another purpose.
        case unsupported(reason: String)
        /// The journal is at its bound of bytes: remove segments, or raise the bound.
        case full
        /// The buffer of records that are not committed is full: commit, then append again.
        case uncommitted
        /// The position was removed by retention, or is past the journal's end.
        case outOfRange
        /// A record is larger than the journal takes.
        case tooLarge
        /// No key with that number was given, or it is not the key that sealed the record.
        case wrongKey(UInt16)
        /// The process or the system has too many files open.
        case tooManyFiles
        /// The file, journal or committer was closed before.
        case closed
        /// The simulated machine has stopped; only ``SimulatedFileSystem`` throws this.
        case crashed
        /// Any other error of the system, by its `errno`.
        case system(Int32)
    }

    /// What went wrong.
    public let code: Code

    /// The file or directory concerned.
    public let path: String

    /// What was being done: "open", "write", "synchronize".
    public let action: String

    /// The system's text for the error, where the system reported it.
    public let detail: String?

    package init(_ code: Code, path: String, action: String, detail: String? = nil) {
        self.code = code
        self.path = path
        self.action = action
        self.detail = detail
    }

    package init(errno number: Int32, path: String, action: String) {
        self.init(
            Code(errno: number), path: path, action: action,
            detail: strerror(number).map { String(cString: $0) })
    }

    /// What the operator can do about it.
    public var advice: String {
        switch code {
        case .noSpace: "free space on the device; writing goes on when there is room"
        case .io: "look at the device (dmesg, SMART)"
        case .readOnly: "mount the file system writable"
        case .notFound: "check the path"
        case .alreadyExists: "choose another path, or remove the file"
        case .denied: "check the owner and the mode of the path"
        case .locked: "stop that process, or give this one a directory of its own"
        case .corrupt: "restore the file from a copy, or go back to an older checkpoint"
        case .unsupported: "open it with the version and configuration that wrote it"
        case .full: "remove old segments by a checkpoint, or raise the bound"
        case .uncommitted: "commit first"
        case .outOfRange: "read from a position that the journal holds"
        case .tooLarge: "split the record, or raise the bound on a record"
        case .wrongKey: "add the key to the key provider"
        case .tooManyFiles: "raise the limit on open files (ulimit -n)"
        case .closed: "open it again"
        case .crashed: "call crash(seed:) and open again"
        case .system: "see the system's text"
        }
    }

    /// One line: what failed, where, why, and what to do.
    public var description: String {
        let text = detail.map { " (\($0))" } ?? ""
        return "cannot \(action) \(path): \(reason)\(text); \(advice)"
    }

    private var reason: String {
        switch code {
        case .noSpace: return "no space left"
        case .io: return "the device failed"
        case .readOnly: return "the file system is read-only"
        case .notFound: return "it does not exist"
        case .alreadyExists: return "it exists already"
        case .denied: return "permission denied"
        case .locked(let owner):
            return owner.map { "process \($0) holds the lock" } ?? "another process holds the lock"
        case .corrupt(let segment, let offset, let reason):
            return "\(segment) is corrupt at byte \(offset): \(reason)"
        case .unsupported(let reason): return reason
        case .full: return "the journal is full"
        case .uncommitted: return "its buffer of uncommitted records is full"
        case .outOfRange: return "it does not hold that position"
        case .tooLarge: return "the record is too large"
        case .wrongKey(let key): return "key \(key) is missing or is not the one that sealed it"
        case .tooManyFiles: return "too many open files"
        case .closed: return "it is closed"
        case .crashed: return "the simulated machine has crashed"
        case .system(let number): return "error \(number)"
        }
    }
}

extension StorageError.Code {
    fileprivate init(errno number: Int32) {
        self =
            switch number {
            case ENOSPC, EDQUOT: .noSpace
            case EIO: .io
            case EROFS: .readOnly
            case ENOENT, ENOTDIR: .notFound
            case EEXIST: .alreadyExists
            case EACCES, EPERM: .denied
            case EMFILE, ENFILE: .tooManyFiles
            case EBADF: .closed
            default: .system(number)
            }
    }
}
