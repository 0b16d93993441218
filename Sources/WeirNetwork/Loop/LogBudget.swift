/// Lines in a log that anybody on the network can bring about: ten in ten seconds.
struct LogBudget {
    private static let linesMax = 10
    private static let periodMilliseconds: UInt64 = 10_000

    private var began: UInt64?
    private var left = 0

    /// Whether there may be one more line.
    ///
    /// - Parameter now: The loop's time in milliseconds.
    mutating func take(at now: UInt64) -> Bool {
        if began.map({ now - $0 >= Self.periodMilliseconds }) ?? true {
            began = now
            left = Self.linesMax
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
