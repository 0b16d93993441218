#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Why a process supervisor could not begin or has given up.
public struct ProcessSupervisorError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name.
        public let description: String

        /// An argument is not valid; nothing was started.
        public static let invalidArgument = Code(description: "invalidArgument")
        /// The executable does not exist or may not be executed; nothing was started.
        public static let notExecutable = Code(description: "notExecutable")
        /// An address cannot be listened on; nothing was started.
        public static let notListening = Code(description: "notListening")
        /// Another supervisor of this process already forwards the signals; nothing was started.
        public static let alreadySupervising = Code(description: "alreadySupervising")
        /// The worker failed more often than the intensity allows; it is not running.
        public static let intensityExceeded = Code(description: "intensityExceeded")
        /// The operating system refused a descriptor, a thread or a process.
        public static let system = Code(description: "system")
    }

    /// What kind of failure it is.
    public let code: Code
    /// One sentence for people.
    public let message: String
    /// How the last worker ended, when the supervisor gave up.
    public let lastExit: ExitReason?

    /// Creates an error.
    public init(_ code: Code, _ message: String, lastExit: ExitReason? = nil) {
        self.code = code
        self.message = message
        self.lastExit = lastExit
    }

    /// A worker could not be started.
    ///
    /// - Parameter error: The `errno`: whether it is about the file, or the system lacks what any
    ///   process needs.
    init(notStarted executable: String, error: Int32) {
        let isLack = [EAGAIN, ENOMEM, EMFILE, ENFILE].contains(error)
        self.init(
            isLack ? .system : .notExecutable,
            "cannot start \(executable): \(String(cString: strerror(error)))")
    }

    /// The message.
    public var description: String { message }

    /// The exit code for a process that ends with this error, after `sysexits.h` and the shells.
    public var exitCode: Int32 {
        switch code {
        case .invalidArgument: 64
        case .notExecutable: 127
        case .notListening: 69
        case .system: 71
        default: 70
        }
    }
}
