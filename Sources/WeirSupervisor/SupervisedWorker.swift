import CWeirProcess

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What a worker knows of its supervisor, from its environment.
public struct SupervisedWorker: Sendable, Hashable {
    /// How often the worker has been restarted: 0 in the first.
    public let restarts: Int
    /// How the worker before this one ended; nil in the first.
    public let lastExit: String?

    static let marker = "WEIR_WORKER"
    static let restartsVariable = "WEIR_RESTARTS"
    static let lastExitVariable = "WEIR_LAST_EXIT"
    static let listeningVariable = "WEIR_LISTEN_FDS"

    /// This process as a worker; nil when no process supervisor has started it.
    public static var current: SupervisedWorker? {
        SupervisedWorker { name in getenv(name).map { String(cString: $0) } }
    }

    init?(_ value: (String) -> String?) {
        guard value(Self.marker) == "1" else { return nil }
        restarts = max(0, value(Self.restartsVariable).flatMap { Int($0) } ?? 0)
        lastExit = value(Self.lastExitVariable)
    }

    /// A worker's environment.
    static func environment(
        _ base: [String: String], listening: String, restarts: Int, lastExit: ExitReason?
    ) -> [String: String] {
        var result = base
        // Those descriptors are not passed on.
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] { result[name] = nil }
        result[marker] = "1"
        result[restartsVariable] = "\(restarts)"
        result[lastExitVariable] = lastExit?.description
        result[listeningVariable] = listening.isEmpty ? nil : listening
        return result
    }

    static func processEnvironment() -> [String: String] {
        var result: [String: String] = [:]
        var next = cwp_environment()
        while let entry = next?.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                result[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            next = next?.advanced(by: 1)
        }
        return result
    }
}
