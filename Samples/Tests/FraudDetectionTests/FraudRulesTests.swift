import Testing
import Weir
import WeirTesting

@testable import fraud_detection

/// The rules between a source and a sink that the test holds, in virtual time.
private struct FraudTest {
    let payments = SourceProbe<Payment>()
    let alerts = SinkProbe<Alert>("alerts")
    let late = SinkProbe<Payment>("late")
    let test: TopologyTest

    init(seed: UInt64 = 0) throws {
        let (payments, alerts, late) = (payments, alerts, late)
        let topology = Topology("fraud") {
            let stream = EventStream("payments", from: payments.source).eventTimeOfPayments()
            let (found, tooLate) = fraud(in: stream)
            found.sink(alerts.sink)
            tooLate.sink(late.sink)
        }
        test = try TopologyTest(topology, seed: seed, startingAt: start.advanced(by: .days(365)))
    }

    func send(_ card: String, at seconds: Int, _ country: String = "NL", amount: Double = 10) {
        payments.send(
            Payment(
                id: UInt64(seconds), card: card, amount: amount, country: country,
                at: start.advanced(by: .seconds(seconds))))
    }

    func finish() throws -> [Alert] {
        payments.finish()
        try test.finish()
        return alerts.received
    }
}

private let start = EventTime(milliseconds: 1_577_836_800_000)

@Suite struct `The fraud rules` {
    @Test(arguments: TopologyTest.seeds(8))
    func `find all planted frauds and nothing else`(seed: UInt64) throws {
        let traffic = Traffic(count: 4_000, planted: 8, seed: seed, start: start)
        // The order in which stages run changes with the seed too, not the result.
        let test = try FraudTest(seed: seed)
        var findings = Findings(traffic.frauds)
        test.payments.send(contentsOf: traffic.payments)
        for alert in try test.finish() { findings.add(alert) }
        #expect(traffic.frauds.count == 24)
        #expect(findings.missed == 0, "seed \(seed)")
        #expect(findings.falseAlarms == 0, "seed \(seed)")
        #expect(test.late.received.isEmpty)
    }

    @Test(arguments: TopologyTest.seeds(8))
    func `raise no alarm on honest payments`(seed: UInt64) throws {
        let traffic = Traffic(count: 8_000, planted: 0, seed: 1_000 + seed, start: start)
        let test = try FraudTest()
        test.payments.send(contentsOf: traffic.payments)
        #expect(try test.finish().isEmpty, "seed \(seed)")
    }

    @Test func `give one alert for one burst, with its payments`() throws {
        let test = try FraudTest()
        for second in 0..<12 { test.send("1", at: second) }
        test.send("1", at: 20_000)
        let alerts = try test.finish()
        #expect(alerts.map(\.rule) == [.velocity])
        #expect((alerts.first?.payments.count ?? 0) >= Burst.limit)
    }

    @Test func `leave five payments in two minutes alone, and six in more`() throws {
        let test = try FraudTest()
        for number in 0..<5 { test.send("1", at: number * 20) }
        for number in 0..<20 { test.send("2", at: number * 25) }
        #expect(try test.finish().isEmpty)
    }

    @Test func `alert while the stream is quiet, not only when it ends`() throws {
        let test = try FraudTest()
        for second in 0..<8 { test.send("1", at: second) }
        try test.test.advance(by: .seconds(20))
        #expect(test.alerts.received.map(\.rule) == [.velocity])
    }

    @Test func `see a journey that is too fast`() throws {
        let test = try FraudTest()
        test.send("1", at: 0, "NL")
        test.send("1", at: 3_600, "JP")
        let alert = try #require(try test.finish().first)
        #expect(alert.rule == .travel)
        #expect(alert.payments == [0, 3_600])
        #expect(alert.at == start.advanced(by: .hours(1)))
        // Some 8,000 km in an hour.
        #expect((7...9).contains(alert.score))
    }

    @Test func `let people cross a border at once and an ocean in time`() throws {
        let test = try FraudTest()
        test.send("1", at: 0, "NL")
        test.send("1", at: 60, "BE")
        test.send("1", at: 14 * 3_600, "JP")
        test.send("1", at: 15 * 3_600, "XX")
        #expect(try test.finish().isEmpty)
    }

    @Test func `judge an amount by the card's own history`() throws {
        let test = try FraudTest()
        for number in 0..<30 {
            test.send("modest", at: number * 3_600, amount: 10 + Double(number % 5))
            test.send("rich", at: number * 3_600 + 1, amount: 2_000 + Double(number % 5) * 400)
        }
        test.send("modest", at: 200_000, amount: 2_000)
        test.send("rich", at: 200_001, amount: 2_000)
        let alerts = try test.finish()
        #expect(alerts.map(\.card) == ["modest"])
        #expect(alerts.map(\.rule) == [.amount])
        #expect(alerts.map(\.payments) == [[200_000]])
    }

    @Test func `count payments per second, also when there are none`() throws {
        let payments = SourceProbe<Payment>()
        let seconds = SinkProbe<Stats>()
        let topology = Topology("stats") {
            stats(of: EventStream("payments", from: payments.source)).sink(seconds.sink)
        }
        let test = try TopologyTest(topology, startingAt: start)
        let payment = Payment(id: 1, card: "1", amount: 1, country: "NL", at: start)
        payments.send(payment, payment)
        try test.advance(by: .milliseconds(2_100))
        payments.send(payment)
        try test.advance(by: .seconds(1))
        #expect(seconds.received.map(\.payments) == [2, 0, 1])
        #expect(seconds.received.map(\.total) == [2, 2, 3])
        #expect(seconds.received.last?.newest == start)
        try test.cancel()
    }
}

@Suite struct `The planted traffic` {
    @Test func `is the same for the same seed and another for another`() {
        let first = Traffic(count: 1_000, planted: 3, seed: 5, start: start)
        let second = Traffic(count: 1_000, planted: 3, seed: 5, start: start)
        let other = Traffic(count: 1_000, planted: 3, seed: 6, start: start)
        #expect(first.payments == second.payments)
        #expect(first.frauds == second.frauds)
        #expect(first.payments != other.payments)
    }

    @Test func `plants each fraud on a card of its own`() {
        let traffic = Traffic(count: 2_000, planted: 10, seed: 1, start: start)
        #expect(Set(traffic.frauds.map(\.card)).count == 30)
        #expect(traffic.frauds.allSatisfy { !$0.payments.isEmpty })
        #expect(Set(traffic.payments.map(\.id)).count == traffic.payments.count)
    }
}
