import ArgumentParser

/// Exit statuses by number.
enum ExitStatus {
    static func of(_ status: Int32) -> any Error { ExitCode(status) }
}
