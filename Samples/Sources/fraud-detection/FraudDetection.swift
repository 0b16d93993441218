import Weir

/// Payments in, alerts out: the whole service is this topology.
struct FraudDetection {
    var host = "127.0.0.1"
    var port = 8_080
    var tcpPort = 8_081

    var topology: Topology {
        Topology("fraud-detection") {
            WebPage("/", host: host, port: port, .html(page))

            let payments = EventStream(
                "payments", from: .webSocket("/payments", host: host, port: port, as: Payment.self)
            ).merge(
                EventStream("payments-tcp", from: .tcp(host: host, port: tcpPort, as: Payment.self))
            ).eventTimeOfPayments()

            let (alerts, late) = fraud(in: payments)

            alerts.sink(.webSocket("/alerts", host: host, port: port))
            alerts.sink(.jsonLines(to: .standardOutput))
            late.sink(.deadLetters("too late for the velocity rule"))
            stats(of: payments).sink(.webSocket("/stats", host: host, port: port))
        }
    }
}

extension EventStream<Payment> {
    /// Payments in event time; while none come, time goes on, so that an alert never waits for the next payment.
    ///
    /// A time in the future would make all that follow late, so that payment is refused. Refunds are left out.
    func eventTimeOfPayments() -> EventStream<Payment> {
        eventTime(
            \.at,
            .boundedOutOfOrderness(.seconds(5))
                .idle(after: .seconds(1), advancing: true)
                .maximumAhead(.minutes(1))
        ).filter { $0.amount > 0 }
    }
}

/// The rules: what of a stream of payments looks like fraud, one alert per card, rule and episode.
///
/// - Returns: The alerts, and the payments that came too late for the velocity rule.
func fraud(
    in payments: EventStream<Payment>
) -> (alerts: EventStream<Alert>, late: EventStream<Payment>) {
    let byCard = payments.keyed(by: \.card)
    let recent = byCard.window(
        .sliding(Burst.span, every: .seconds(10)), allowedLateness: .seconds(30))

    let velocity = recent.reduce(into: Burst(), name: "velocity") {
        $0.add($1)
    } combine: {
        $0.add($1)
    }.filter { $0.value.isSuspicious }
        .map { $0.value.alert(card: $0.key) }

    let travel = byCard.handle("travel", ttl: StateTTL(.days(30))) { ImpossibleTravel() }
    let amount = byCard.handle("amount", ttl: StateTTL(.days(90))) { UnusualAmount() }

    let alerts = velocity.merge(travel, amount)
        .keyed(by: \.episode)
        .handle("once-per-episode", ttl: StateTTL(.days(1))) { OncePerEpisode() }
    return (alerts, recent.late)
}

/// Payments per second, for the page; also when there are none.
func stats(of payments: EventStream<Payment>) -> EventStream<Stats> {
    payments.map { Stats(payments: 1, newest: $0.at) }
        .merge(
            EventStream("seconds", from: .ticks(every: .milliseconds(500))).map { _ in Stats() }
        )
        .keyed(by: { _ in 0 })
        .window(.tumbling(.seconds(1), in: .processingTime))
        .reduce(into: Stats(), name: "stats") { $0.add($1) }
        .scan(into: Stats()) { (all: inout Stats, second) in
            all.total += second.value.payments
            all.payments = second.value.payments
            all.at = second.window.lowerBound
            if let newest = second.value.newest { all.newest = max(all.newest ?? .min, newest) }
            return all
        }
}

extension Stats {
    mutating func add(_ other: Stats) {
        payments += other.payments
        if let time = other.newest { newest = max(newest ?? .min, time) }
    }
}
