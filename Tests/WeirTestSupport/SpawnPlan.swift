import CWeirProcess
import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// What a process is to find behind its standard descriptors, and in what state.
final class SpawnPlan {
    #if canImport(Darwin)
        private var actions: posix_spawn_file_actions_t?
        private var attributes: posix_spawnattr_t?
    #else
        private var actions = posix_spawn_file_actions_t()
        private var attributes = posix_spawnattr_t()
    #endif
    /// Above are only sockets of libuv, which nobody inherits.
    private static let inheritedMax: Int32 = 1_024
    /// The ends of pipes that only the process needs.
    private var ends: [Descriptor] = []

    init() throws {
        try check("posix_spawn", posix_spawn_file_actions_init(&actions))
        try check("posix_spawn", posix_spawnattr_init(&attributes))
        var flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        #if canImport(Darwin)
            flags |= POSIX_SPAWN_CLOEXEC_DEFAULT
        #endif
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(flags))
    }

    deinit {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }

    /// Returns what keeps the input open.
    func setInput(_ input: ChildProcess.Input) throws -> Descriptor? {
        switch input {
        case .nothing: open("/dev/null", O_RDONLY, as: STDIN_FILENO)
        case .file(let path): open(path, O_RDONLY, as: STDIN_FILENO)
        case .open(let text):
            let (reading, writing) = try Descriptor.pipe()
            // Still with a reader, so that this can be no broken pipe.
            guard write(writing.number, text, text.utf8.count) == text.utf8.count else {
                throw StartFailure("an input", errno)
            }
            duplicate(reading.number, as: STDIN_FILENO)
            ends.append(reading)
            return writing
        }
        return nil
    }

    /// Returns what has to be read.
    func setOutput(_ output: ChildProcess.Output, as number: Int32) throws -> LineReader? {
        switch output {
        case .nowhere: open("/dev/null", O_WRONLY, as: number)
        case .file(let path): open(path, O_WRONLY | O_CREAT | O_APPEND, as: number)
        case .lines(let onLine):
            let (reading, writing) = try Descriptor.pipe()
            duplicate(writing.number, as: number)
            ends.append(writing)
            return LineReader(reading, onLine)
        }
        return nil
    }

    func duplicate(_ existing: Int32, as number: Int32) {
        posix_spawn_file_actions_adddup2(&actions, existing, number)
    }

    private func open(_ path: String, _ flags: Int32, as number: Int32) {
        posix_spawn_file_actions_addopen(&actions, number, path, flags, 0o600)
    }

    /// Starts the process, once.
    func start(_ path: String, _ arguments: [String], _ environment: [String]) throws -> Int32 {
        #if !canImport(Darwin)
            // A proxy's connection is reset only if nobody else holds its socket.
            for number in (STDERR_FILENO + 1)..<Self.inheritedMax {
                posix_spawn_file_actions_addclose(&actions, number)
            }
        #endif
        let (words, variables) = (CStrings([path] + arguments), CStrings(environment))
        var pid: Int32 = 0
        try check(path, posix_spawn(&pid, path, &actions, &attributes, words.all, variables.all))
        ends = []
        return pid
    }

    private func check(_ what: String, _ status: Int32) throws {
        if status != 0 { throw StartFailure(what, status) }
    }
}

/// Why a process could not be started.
struct StartFailure: Error, CustomStringConvertible {
    let description: String

    init(_ what: String, _ code: Int32) {
        description = "cannot start \(what): \(String(cString: strerror(code)))"
    }
}

/// A file's number, which is closed with the value.
final class Descriptor: Sendable {
    let number: Int32

    private init(_ number: Int32) { self.number = number }

    deinit { close(number) }

    /// A pipe whose ends block, and that no other process inherits.
    static func pipe() throws -> (reading: Descriptor, writing: Descriptor) {
        var numbers: [Int32] = [0, 0]
        let status = cwp_pipe(&numbers)
        guard status == 0 else { throw StartFailure("a pipe", -status) }
        for number in numbers { _ = fcntl(number, F_SETFL, 0) }
        return (Descriptor(numbers[0]), Descriptor(numbers[1]))
    }
}

/// A list of strings as C's functions take it.
private final class CStrings {
    let all: [UnsafeMutablePointer<CChar>?]

    init(_ strings: [String]) { all = strings.map { strdup($0) } + [nil] }

    deinit { for string in all { free(string) } }
}
