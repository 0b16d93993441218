import Logging

/// The part of access control that lives on a listener's loop: it asks, counts and logs.
final class AccessGate {
    let control: AccessControl
    /// What one connection may bring.
    let connectionRate: RateLimit?
    private let counters: ServerCounterCells
    private let logger: Logger
    private let loop: Loop
    private var buckets: [String: TokenBucket] = [:]
    private var pendingCount = 0
    private var refusalLog = LogBudget()
    private var expiring: [ObjectIdentifier: Watched] = [:]
    private var timer: LoopTimer?

    init(
        _ control: AccessControl, connectionRate: RateLimit?, _ counters: ServerCounterCells,
        _ logger: Logger, _ loop: Loop
    ) {
        self.control = control
        self.connectionRate = connectionRate
        self.counters = counters
        self.logger = logger
        self.loop = loop
    }

    /// Whether peers are asked at all.
    var asks: Bool { !control.isOpen }

    // MARK: Who somebody is

    /// Finds out who somebody is, at once or later, and says it on the loop.
    func identify(
        _ credentials: Credentials,
        _ completion: @escaping (Result<Identity, Refused>) -> Void
    ) {
        ask(credentials, control.authenticators[...], completion)
    }

    /// Why somebody is refused.
    struct Refused: Error {
        let reason: AccessRefusal
        var identity: Identity?
    }

    private func ask(
        _ credentials: Credentials, _ authenticators: ArraySlice<any Authenticator>,
        _ completion: @escaping (Result<Identity, Refused>) -> Void
    ) {
        for index in authenticators.indices {
            let authenticator = authenticators[index]
            let verdict = authenticator.authenticate(credentials)
            if verdict == .notMine { continue }
            guard verdict == .pending else {
                completion(decide(verdict))
                return
            }
            guard pendingCount < control.pendingMax else {
                completion(.failure(Refused(reason: .unavailable)))
                return
            }
            pendingCount += 1
            let rest = authenticators[(index + 1)...]
            let waiter = LoopBound(Waiter(self, completion), on: loop)
            Task {
                let verdict = await authenticator.verify(credentials)
                waiter.loop.onLoop {
                    let (gate, completion) = (waiter.value.gate, waiter.value.completion)
                    gate.pendingCount -= 1
                    if verdict == .notMine {
                        gate.ask(credentials, rest, completion)
                    } else {
                        completion(gate.decide(verdict))
                    }
                }
            }
            return
        }
        let hasToken = credentials.bearerToken != nil || credentials.apiKey != nil
        completion(.failure(Refused(reason: hasToken ? .invalid : .missing)))
    }

    private final class Waiter {
        let gate: AccessGate
        let completion: (Result<Identity, Refused>) -> Void

        init(_ gate: AccessGate, _ completion: @escaping (Result<Identity, Refused>) -> Void) {
            self.gate = gate
            self.completion = completion
        }
    }

    private func decide(_ verdict: AuthenticationVerdict) -> Result<Identity, Refused> {
        switch verdict.choice {
        case .accepted(let identity):
            if let end = identity.expiresAt, end <= HTTPDate.now() {
                return .failure(Refused(reason: .expired, identity: identity))
            }
            return .success(identity)
        case .refused(let reason): return .failure(Refused(reason: reason))
        case .notMine, .pending: return .failure(Refused(reason: .invalid))
        }
    }

    // MARK: What becomes of it

    /// Counts a refusal and, unless there are many, logs it without what was shown.
    func refuse(_ refused: Refused, at place: String, from address: SocketAddress?) {
        counters.countAccessRefused(refused.reason)
        guard refusalLog.take(at: loop.now) else { return }
        var metadata: Logger.Metadata = [
            "reason": "\(refused.reason)", "at": "\(place.visible)",
            "peer": "\(address?.description ?? "unknown")",
        ]
        if let identity = refused.identity { metadata["identity"] = "\(identity.name)" }
        logger.notice("access refused", metadata: metadata)
    }

    /// Counts that somebody was over a limit.
    func countRate() { counters.countAccessRefused(.rate) }

    /// The answer to a request that is refused.
    func problem(_ reason: AccessRefusal) -> HTTPProblem {
        if reason == .unavailable {
            var problem = HTTPProblem(503, "who you are cannot be found out at the moment")
            problem.retryAfter = 1
            return problem
        }
        var problem =
            reason == .forbidden
            ? HTTPProblem(403, "your role does not allow this")
            : reason == .missing
                ? HTTPProblem(401, "show who you are")
                : HTTPProblem(401, "your credentials are \(reason)")
        problem.challenge = control.challenge(reason)
        return problem
    }

    /// What a connection may bring, its identity being known or not.
    func makeAccess(_ identity: Identity?) -> ConnectionAccess {
        ConnectionAccess(
            self, identity, connectionRate.map { TokenBucket($0, now: loop.now) })
    }

    /// The bucket that all connections of an identity share.
    func bucket(of identity: Identity) -> TokenBucket? {
        guard let limit = control.identityRate else { return nil }
        let now = loop.now
        if let bucket = buckets[identity.name] { return bucket }
        if buckets.count >= max(1, control.identitiesMax) {
            buckets = buckets.filter { !$0.value.isFull(now: now) }
            // All of them in use: the newest share one rather than going without.
            if buckets.count >= max(1, control.identitiesMax) {
                return bucket(named: "", limit, now)
            }
        }
        return bucket(named: identity.name, limit, now)
    }

    private func bucket(named name: String, _ limit: RateLimit, _ now: UInt64) -> TokenBucket {
        if let bucket = buckets[name] { return bucket }
        let bucket = TokenBucket(limit, now: now)
        buckets[name] = bucket
        return bucket
    }

    // MARK: The end of what was shown

    /// A connection whose identity may end.
    private struct Watched {
        let deadline: UInt64
        let standing: CredentialStanding
        let close: () -> Void

        func isOver(at now: UInt64) -> Bool {
            if deadline <= now { return true }
            return !(standing.counts?() ?? true)
        }
    }

    /// Has a connection closed when its identity ends, or what was shown counts no more.
    func watch(_ connection: TCPConnection, _ identity: Identity, _ close: @escaping () -> Void) {
        var deadline = UInt64.max
        if let end = identity.expiresAt {
            let seconds = UInt64(max(0, end - HTTPDate.now()))
            let (milliseconds, overflows) = seconds.multipliedReportingOverflow(by: 1_000)
            if !overflows, milliseconds < .max / 2 { deadline = loop.now + milliseconds }
        }
        if deadline == .max, identity.standing.counts == nil { return }
        expiring[ObjectIdentifier(connection)] = Watched(
            deadline: deadline, standing: identity.standing, close: close)
        startTicking()
    }

    /// The connection is gone.
    func forget(_ connection: TCPConnection) {
        if expiring.isEmpty { return }
        expiring[ObjectIdentifier(connection)] = nil
        if expiring.isEmpty { timer?.stop() }
    }

    /// One look a second is enough, and bounds what many of them cost; whoever comes leaves it alone.
    private func startTicking() {
        if timer == nil {
            timer = try? LoopTimer(on: loop) { [unowned(unsafe) self] in closeExpired() }
        }
        guard let timer, !timer.isActive else { return }
        timer.start(after: Self.lookInterval, every: Self.lookInterval)
    }

    private static let lookInterval = Duration.seconds(1)

    private func closeExpired() {
        let now = loop.now
        let over = expiring.filter { $0.value.isOver(at: now) }.keys
        for key in over {
            // Closing one may have ended others.
            guard let entry = expiring.removeValue(forKey: key) else { continue }
            counters.countAccessRefused(.expired)
            entry.close()
        }
        if expiring.isEmpty { timer?.stop() }
    }

    /// Lets go of the timer.
    func close() {
        timer?.close()
        timer = nil
        expiring.removeAll()
    }
}
