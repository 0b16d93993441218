import Weir

/// Everything that decides what a load does.
struct LoadPlan: Sendable {
    /// How messages are told apart on a TCP connection.
    enum Framing: String, Sendable, CaseIterable {
        case lines
        case length
    }

    /// The upper limits of a load.
    enum Limits {
        static let connections = 10_000
        static let ratePerSecond = 1_000_000.0
        static let duration = Duration.seconds(3_600)
        static let grace = Duration.seconds(600)
        static let messageByteCount = 1_024 * 1_024
        /// Messages that are due and not sent, or sent and not answered, over all connections.
        static let waitingMessages = 1_000_000
    }

    let target: LoadTarget
    var connections = 10
    /// Messages per second, over all connections.
    var rate = 1_000.0
    var duration = Duration.seconds(10)
    /// An end after so many messages, when that comes before the duration's.
    var messages: Int?
    var payload = Payload.random(byteCount: 100)
    var framing = Framing.lines
    /// Each message is answered by one message on the same connection, in the same order.
    var expectsEcho = false
    var seed: UInt64 = 1
    /// How long to wait, after the last message was due, for what is still under way.
    var grace = Duration.seconds(5)
    var allowsRemote = false
    /// Trust and certificates for a target with TLS.
    var tls = TLSClientConfiguration()
    /// Who the load is for a target with access control.
    var authorization: ClientAuthorization?

    init(target: LoadTarget) {
        self.target = target
    }

    /// Checks everything that a person may get wrong.
    func validate() throws(LoadError) {
        if !target.isLoopback && !allowsRemote {
            throw LoadError(
                """
                \(target.host) is not this machine, so nothing was sent: loads go to loopback \
                (127.0.0.1, ::1, localhost) unless --allow-remote is given; use it only on \
                machines that you may load
                """)
        }
        func check<Number: Comparable>(
            _ name: String, _ value: Number, _ least: Number, _ most: Number
        ) throws(LoadError) {
            if !(value >= least && value <= most) {
                throw LoadError("\(name) is \(value); it can be \(least) to \(most)")
            }
        }
        try check("--connections", connections, 1, Limits.connections)
        try check("--rate", rate, 0.01, Limits.ratePerSecond)
        try check("--duration", duration.inSeconds, 0.001, Limits.duration.inSeconds)
        try check("--grace", grace.inSeconds, 0, Limits.grace.inSeconds)
        if let messages { try check("--messages", messages, 1, .max) }
        try payload.validate(forLines: target.transport == .tcp && framing == .lines)
    }

    var schedule: Schedule {
        let byTime = Int(max(1, (rate * duration.inSeconds).rounded()))
        return Schedule(rate: rate, count: min(byTime, messages ?? byTime))
    }
}

/// When the messages of a load are due, whatever becomes of them: an open loop.
///
/// Message `i` is due `i / rate` after the start. Above 10,000 messages a second, those of each
/// 100 µs are due together, since a thread cannot be woken more often for a useful price.
struct Schedule: Sendable {
    static let burstNanoseconds: UInt64 = 100_000

    let count: Int
    private let interval: Double
    private let isInBursts: Bool

    init(rate: Double, count: Int) {
        self.count = count
        interval = 1e9 / rate
        isInBursts = rate > 1e9 / Double(Self.burstNanoseconds)
    }

    /// Nanoseconds from the start to when a message is due.
    func offset(of index: Int) -> UInt64 {
        let exact = UInt64(Double(index) * interval)
        return isInBursts ? exact - exact % Self.burstNanoseconds : exact
    }

    /// Nanoseconds from the start to the end of the last message's share of time.
    func length(of count: Int) -> Double { Double(count) * interval }
}

extension Duration {
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
