import WeirCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// How often the process supervisor has restarted this process, as it says in the environment.
struct ProcessRestarts {
    /// Those of this process.
    static let shared = ProcessRestarts { name in getenv(name).map { String(cString: $0) } }

    /// Nil for a process that nobody supervises.
    let count: Int?

    init(_ value: (String) -> String?) {
        count = value("WEIR_WORKER") == "1" ? value("WEIR_RESTARTS").flatMap { Int($0) } : nil
    }

    func addMetrics(to text: inout PrometheusText) {
        guard let count else { return }
        text.add(
            "weir_process_restarts_total", .counter, "Restarts of the process.", [], count)
    }
}
