/// Who is at the other end of a connection, and how much they may still bring; on its loop only.
final class ConnectionAccess {
    let gate: AccessGate
    /// Who it is; of an HTTP connection, who has sent the current request.
    private(set) var identity: Identity?
    private let connectionBucket: TokenBucket?
    private var identityBucket: TokenBucket?

    init(_ gate: AccessGate, _ identity: Identity?, _ bucket: TokenBucket?) {
        self.gate = gate
        connectionBucket = bucket
        become(identity)
    }

    func become(_ identity: Identity?) {
        let isSame = identity != nil && identity == self.identity
        // The same by another key: that one has to count from now on.
        self.identity = identity
        if isSame { return }
        identityBucket = identity.flatMap { gate.bucket(of: $0) }
    }

    /// Whether there is a rate to keep.
    var isLimited: Bool { connectionBucket != nil || identityBucket != nil }

    /// Takes note of events that have come.
    func charge(_ count: Int, now: UInt64) {
        connectionBucket?.charge(count, now: now)
        identityBucket?.charge(count, now: now)
    }

    /// How long nothing more should come, and what happens then; nil when it may come now.
    func excess(now: UInt64) -> (milliseconds: UInt64, excess: RateLimit.Excess)? {
        let own = connectionBucket?.wait(now: now) ?? 0
        let shared = identityBucket?.wait(now: now) ?? 0
        let longest = own >= shared ? connectionBucket : identityBucket
        guard max(own, shared) > 0, let longest else { return nil }
        return (max(own, shared), longest.limit.excess)
    }
}
