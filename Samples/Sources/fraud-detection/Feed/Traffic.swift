import Glibc
import Weir

/// Payments as they could be, with frauds planted among them.
///
/// Equal settings give equal payments.
struct Traffic {
    /// A fraud that the rules have to find.
    struct Fraud: Sendable, Equatable {
        var rule: Alert.Rule
        var card: String
        var payments: [UInt64]
    }

    /// What a card's holder does.
    private struct Habit {
        var card: String
        var home: String
        /// Mean and deviation of the logarithm of what is paid.
        var mean: Double
        var deviation: Double
    }

    /// A payment before it has its id; a fraud's payments carry its number.
    private struct Draft {
        var payment: Payment
        var fraud: Int?
        /// When it is sent, in event time: a little later than it was made.
        var sent: EventTime
    }

    /// In the order in which they are sent.
    private(set) var payments: [Payment] = []
    private(set) var frauds: [Fraud] = []

    private var random: SeededRandom
    private var drafts: [Draft] = []

    static let paymentsPerCard = 40
    private static let homes = ["NL", "DE", "FR", "GB", "ES", "IT", "PL", "SE", "US", "CA", "BR"]
    private static let countries = Country.named.keys.sorted()

    /// Creates traffic.
    ///
    /// - Parameters:
    ///   - count: About how many payments; at least 500.
    ///   - planted: How many frauds of each kind.
    init(count: Int, planted: Int, seed: UInt64, start: EventTime) {
        random = SeededRandom(seed: seed)
        let cards = max(3, count / Self.paymentsPerCard)
        // Each fraud has a card of its own, so that every alert can be told to be right or wrong.
        let planted = min(planted, cards / 3)
        var victims = Array(0..<cards)
        victims.shuffle(using: &random)
        var plans: [Int: Alert.Rule] = [:]
        for (index, rule) in Alert.Rule.allCases.enumerated() {
            for victim in victims[(index * planted)..<((index + 1) * planted)] {
                plans[victim] = rule
            }
        }
        // Other seeds have other cards: a card keeps its habits from one feed to the next.
        let first = Int(random.next() % 1_000_000) * 1_000_000
        for number in 0..<cards { addCard(first + number, start: start, plan: plans[number]) }
        number()
    }

    private mutating func addCard(_ number: Int, start: EventTime, plan: Alert.Rule?) {
        let digits = String(number % 1_000_000_000_000)
        let habit = Habit(
            card: "4539" + String(repeating: "0", count: 12 - digits.count) + digits,
            home: Self.homes.randomElement(using: &random) ?? "NL",
            mean: Double.random(in: 2.3...4.0, using: &random),
            deviation: Double.random(in: 0.3...0.7, using: &random))
        var country = habit.home
        var at = start.advanced(by: .seconds(Double.random(in: 0..<21_600, using: &random)))
        let moment = Self.paymentsPerCard * Int.random(in: 60...85, using: &random) / 100
        for index in 0..<Self.paymentsPerCard {
            add(habit, country: country, at: at)
            if index == moment, let plan { plant(plan, habit, country: country, after: at) }
            if random.chance(0.04) {
                // A small round through the shops.
                for _ in 0..<2 {
                    at = at.advanced(by: .seconds(Double.random(in: 60...180, using: &random)))
                    add(habit, country: country, at: at)
                }
            }
            at = at.advanced(by: .seconds(600 + random.exponential(mean: 21_600)))
            if random.chance(0.03) {
                // A journey: there and, at another time, back; it takes as long as it takes.
                country =
                    country == habit.home
                    ? Self.countries.randomElement(using: &random) ?? habit.home : habit.home
                at = at.advanced(by: .hours(26))
            }
        }
    }

    private mutating func add(
        _ habit: Habit, country: String, at: EventTime, amount: Double? = nil, fraud: Int? = nil
    ) {
        let usual = exp(habit.mean + habit.deviation * random.normal())
        let time = EventTime(milliseconds: at.nanoseconds / 1_000_000)
        let payment = Payment(
            id: 0, card: habit.card, amount: ((amount ?? usual) * 100).rounded() / 100,
            country: country, at: time)
        let delay = Duration.seconds(Double.random(in: 0..<4, using: &random))
        drafts.append(Draft(payment: payment, fraud: fraud, sent: time.advanced(by: delay)))
    }

    private mutating func plant(
        _ rule: Alert.Rule, _ habit: Habit, country: String, after: EventTime
    ) {
        let fraud = frauds.count
        frauds.append(Fraud(rule: rule, card: habit.card, payments: []))
        switch rule {
        case .velocity:
            var at = after
            for _ in 0..<12 {
                at = at.advanced(by: .seconds(Double.random(in: 3...15, using: &random)))
                let amount = Double.random(in: 1...5, using: &random)
                add(habit, country: country, at: at, amount: amount, fraud: fraud)
            }
        case .travel:
            let here = Country.named[country]
            let far = Self.countries.filter { code in
                guard let here, let there = Country.named[code] else { return false }
                return here.distance(to: there) > 3_000
            }
            let minutes = Int.random(in: 10...60, using: &random)
            add(
                habit, country: far.randomElement(using: &random) ?? "AU",
                at: after.advanced(by: .minutes(minutes)), fraud: fraud)
        case .amount:
            let amount = exp(habit.mean + 10 * habit.deviation)
            add(
                habit, country: country, at: after.advanced(by: .minutes(5)), amount: amount,
                fraud: fraud)
        }
    }

    /// Brings the payments into the order of their sending and gives them their ids.
    private mutating func number() {
        drafts.sort { ($0.sent, $0.payment.card) < ($1.sent, $1.payment.card) }
        for (index, draft) in drafts.enumerated() {
            var payment = draft.payment
            payment.id = UInt64(index + 1)
            payments.append(payment)
            if let fraud = draft.fraud { frauds[fraud].payments.append(payment.id) }
        }
        drafts = []
    }
}
