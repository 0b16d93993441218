import Weir

/// A payment with a card, as it comes in.
struct Payment: Codable, Sendable, Equatable {
    var id: UInt64
    var card: String
    var amount: Double
    /// Where it was made: two letters as in ISO 3166.
    var country: String
    var at: EventTime
}

/// The suspicion that payments are not the card holder's.
struct Alert: Codable, Sendable, Equatable {
    enum Rule: String, Codable, Sendable, CaseIterable { case velocity, travel, amount }

    var card: String
    var rule: Rule
    /// How far beyond the rule's limit it is: 1 is the limit itself, 2 twice as much.
    var score: Double
    /// The time of the payment that gave rise to it.
    var at: EventTime
    /// The ids of the payments that it is about.
    var payments: [UInt64]

    /// Alerts of one card and rule that follow one another are one story.
    var episode: String { "\(card) \(rule.rawValue)" }

    /// Limits the score to what JSON and people can read, with two digits behind the point.
    static func rounded(score: Double) -> Double {
        (min(score, 1_000) * 100).rounded() / 100
    }
}

/// What is going on, once a second.
struct Stats: Codable, Sendable, Equatable {
    /// The second, in processing time, that the numbers are of.
    var at = EventTime()
    /// Payments in that second.
    var payments = 0
    /// Payments since the start.
    var total = 0
    /// The latest time that a payment has had so far.
    var newest: EventTime?
}
