#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// How a worker process has ended.
public struct ExitReason: Sendable, Hashable {
    /// What ended the process, as `wait(2)` tells it.
    public enum Cause: Sendable, Hashable {
        /// The process ended itself with this exit code.
        case exited(Int32)
        /// A signal, sent or raised by a trap, ended it.
        case killed(signal: Int32)
        /// It could not be started again; the error is an `errno`.
        case notStarted(error: Int32)
    }

    /// Whether the system killed the process because memory ran out.
    public struct MemoryShortage: Sendable, Hashable {
        private enum Kind { case unlikely, possible, certain }
        private let kind: Kind

        /// The system has killed nobody for want of memory meanwhile, or the end was not by SIGKILL.
        public static let unlikely = MemoryShortage(kind: .unlikely)
        /// It cannot be told here; the kernel's log (`dmesg`) knows.
        public static let possible = MemoryShortage(kind: .possible)
        /// The control group or the system counted an out-of-memory kill while the worker ran.
        public static let certain = MemoryShortage(kind: .certain)
    }

    /// What ended the process.
    public let cause: Cause
    /// Whether the process left a core dump.
    public let dumpedCore: Bool
    /// Whether memory ran out.
    public let memoryShortage: MemoryShortage

    /// Creates a reason.
    public init(
        _ cause: Cause, dumpedCore: Bool = false, memoryShortage: MemoryShortage = .unlikely
    ) {
        self.cause = cause
        self.dumpedCore = dumpedCore
        self.memoryShortage = memoryShortage
    }

    /// Whether the worker ended itself with exit code 0.
    public var isClean: Bool { cause == .exited(0) }

    /// Whether the worker ended by a trap of Swift: overflow, a bad index, a forced unwrapping.
    public var isTrap: Bool {
        cause == .killed(signal: SIGILL) || cause == .killed(signal: SIGTRAP)
    }

    /// Whether the worker says that it was called wrongly: exit code 64 (usage) or 78 (configuration).
    ///
    /// Starting it again with the same arguments would end the same way.
    public var isMisuse: Bool { cause == .exited(64) || cause == .exited(78) }

    /// The exit status that a shell would show: the code, 128 + the signal, or 127.
    public var status: Int32 {
        switch cause {
        case .exited(let code): code
        case .killed(let signal): 128 + signal
        case .notStarted: 127
        }
    }
}

extension ExitReason: CustomStringConvertible {
    /// The reason for people, for instance `trapped: SIGILL` or `exited with 3`.
    public var description: String {
        switch cause {
        case .exited(let code):
            "exited with \(code)\(Self.meaning(ofCode: code))"
        case .notStarted(let error):
            "could not be started: \(String(cString: strerror(error)))"
        case .killed(let signal):
            Self.text(ofSignal: signal) + shortageText(signal) + (dumpedCore ? ", core dumped" : "")
        }
    }

    private func shortageText(_ signal: Int32) -> String {
        guard signal == SIGKILL else { return "" }
        return switch memoryShortage {
        case .certain: " (out of memory)"
        case .possible: " (perhaps out of memory; see dmesg)"
        default: ""
        }
    }

    private static func text(ofSignal signal: Int32) -> String {
        let name = signalName(signal)
        return switch signal {
        case SIGILL, SIGTRAP: "trapped: \(name)"
        case SIGSEGV, SIGBUS: "crashed: \(name) (invalid memory access)"
        case SIGFPE: "crashed: \(name) (arithmetic)"
        case SIGABRT: "aborted: \(name)"
        default: "killed by \(name)"
        }
    }

    private static func meaning(ofCode code: Int32) -> String {
        switch code {
        case 64: " (wrong usage)"
        case 78: " (wrong configuration)"
        // A shell between supervisor and service reports a signal like this.
        case 129...159: " (as a shell does after \(signalName(code - 128)))"
        default: ""
        }
    }
}

/// The name of a signal, for instance `SIGTERM`.
func signalName(_ signal: Int32) -> String {
    switch signal {
    case SIGHUP: "SIGHUP"
    case SIGINT: "SIGINT"
    case SIGQUIT: "SIGQUIT"
    case SIGILL: "SIGILL"
    case SIGTRAP: "SIGTRAP"
    case SIGABRT: "SIGABRT"
    case SIGBUS: "SIGBUS"
    case SIGFPE: "SIGFPE"
    case SIGKILL: "SIGKILL"
    case SIGUSR1: "SIGUSR1"
    case SIGSEGV: "SIGSEGV"
    case SIGUSR2: "SIGUSR2"
    case SIGPIPE: "SIGPIPE"
    case SIGALRM: "SIGALRM"
    case SIGTERM: "SIGTERM"
    case SIGXCPU: "SIGXCPU"
    case SIGXFSZ: "SIGXFSZ"
    case SIGSYS: "SIGSYS"
    default: "signal \(signal)"
    }
}
