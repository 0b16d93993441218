import Weir

/// A seeded load.
struct Transfers: Sendable {
    var count: Int
    var accounts: Int
    var seed: UInt64

    /// What the load comes to.
    struct Summary: Codable, Sendable, Equatable {
        var events = 0
        var accounts = 0
        var sum = 0
    }

    /// Calls `body` with each transfer, in order; the same ones each time.
    func forEach(_ body: (Transfer) async throws -> Void) async rethrows -> Summary {
        var random = SplitMix64(seed: seed)
        var summary = Summary()
        var seen: Set<Int> = []
        for _ in 0..<count {
            let account = Int.random(in: 0..<accounts, using: &random)
            let amount = Int.random(in: -1_000...10_000, using: &random)
            seen.insert(account)
            summary.events += 1
            summary.sum += amount
            try await body(Transfer(account: "account-\(account)", amount: amount))
        }
        summary.accounts = seen.count
        return summary
    }
}
