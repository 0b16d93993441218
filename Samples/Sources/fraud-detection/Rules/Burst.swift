import Weir

/// Velocity: what a card has paid within a window.
///
/// Stolen card numbers are tried out in quick series.
struct Burst: Codable, Sendable {
    /// The length of the window.
    static let span = Duration.minutes(2)
    /// The number of payments in a window that nobody makes by hand.
    static let limit = 6

    private static let maximumIDs = 50

    private(set) var count = 0
    private(set) var latest = EventTime.min
    /// The first ids; the count goes on when there are more.
    private(set) var ids: [UInt64] = []

    mutating func add(_ payment: Payment) {
        count += 1
        latest = max(latest, payment.at)
        if ids.count < Self.maximumIDs { ids.append(payment.id) }
    }

    mutating func add(_ later: Burst) {
        count += later.count
        latest = max(latest, later.latest)
        ids.append(contentsOf: later.ids.prefix(Self.maximumIDs - ids.count))
    }

    var isSuspicious: Bool { count >= Self.limit }

    func alert(card: String) -> Alert {
        Alert(
            card: card, rule: .velocity,
            score: Alert.rounded(score: Double(count) / Double(Self.limit)), at: latest,
            payments: ids)
    }
}
