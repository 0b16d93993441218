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

    /// What ends the time of a message.
    enum Measurement: String, Sendable {
        case handOver = "send delay"
        case echo = "echo latency"
        case response = "response latency"
        case acknowledgement = "acknowledgement latency"
    }

    var target: LoadTarget
    var connections = 10
    /// Messages per second, over all connections; at the start of a ramp.
    var rate = 1_000.0
    /// The rate at the end of a linear ramp.
    var lastRate: Double?
    var duration = Duration.seconds(10)
    /// An end after so many messages, when that comes before the duration's.
    var messages: Int?
    var payload = Payload.random(byteCount: 100)
    var framing = Framing.lines
    /// Each message is answered by one message on the same connection, in the same order.
    var expectsEcho = false
    /// Requests to an HTTP target.
    var http = HTTPRequests()
    /// The name under which messages are numbered and acknowledged; with more than one connection
    /// each has its number behind it.
    var producer: String?
    /// Notes which messages are acknowledged.
    var keepsAcknowledged = false
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
        if let lastRate {
            try check("--ramp's end", lastRate, 0.01, Limits.ratePerSecond)
            try check("--ramp's beginning", rate, 0.01, Limits.ratePerSecond)
        }
        if target.isSecure && target.unixPath != nil {
            throw LoadError("TLS is not spoken over a Unix socket")
        }
        if target.unixPath != nil && target.transport == .webSocket {
            throw LoadError("--unix-socket is for http:// targets; write unix:PATH for plain ones")
        }
        switch target.transport {
        case .http:
            try http.validate()
            if expectsEcho {
                throw LoadError("--expect-echo is not for http://: requests are answered")
            }
            if producer != nil {
                throw LoadError("--acknowledge is for ws://, wss://, tcp:// and tls:// targets")
            }
        case .webSocket, .tcp: try validateMessages()
        }
        try payload.validate(forLines: target.transport == .tcp && framing == .lines)
    }

    private func validateMessages() throws(LoadError) {
        if payload == .empty { throw LoadError("a message cannot be empty") }
        guard let producer else { return }
        if expectsEcho { throw LoadError("give only one of --expect-echo and --acknowledge") }
        if target.unixPath != nil {
            throw LoadError("--acknowledge is for ws://, wss://, tcp:// and tls:// targets")
        }
        if keepsAcknowledged && schedule.count > SequenceSet.countMax {
            throw LoadError("--verify takes at most \(SequenceSet.countMax) messages")
        }
        do {
            try AcknowledgedSender.check(producer: name(ofProducer: producer, connections))
        } catch {
            throw LoadError("--acknowledge \(error.message)")
        }
    }

    /// The producer of one connection, from 1.
    func name(ofProducer producer: String, _ connection: Int) -> String {
        connections == 1 ? producer : "\(producer)-\(connection)"
    }

    var measurement: Measurement {
        if target.transport == .http { return .response }
        if producer != nil { return .acknowledgement }
        return expectsEcho ? .echo : .handOver
    }

    /// Whether a message's time ends with something that the target sends.
    var expectsAnswers: Bool { measurement != .handOver }

    /// Whether a message goes to whichever connection has room first.
    var isPooled: Bool { target.transport == .http }

    var schedule: Schedule {
        if let lastRate {
            return Schedule(
                from: rate, to: lastRate, seconds: duration.inSeconds, messages: messages)
        }
        let byTime = Int(max(1, (rate * duration.inSeconds).rounded()))
        return Schedule(rate: rate, count: min(byTime, messages ?? byTime))
    }
}

extension Duration {
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
