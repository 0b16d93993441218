import WeirCore

/// A request's hold on its key, from its whole body to its answer; used on the loop only.
struct HTTPRequestClaim {
    let key: RequestKey
    private let keys: RequestKeys
    private(set) var fingerprint: UInt64 = 0
    private var isHeld = false

    /// - Parameters:
    ///   - key: The key as the client gave it.
    ///   - client: Who has given it: the keys of others are others.
    init?(_ key: [UInt8], of client: String?, _ keys: RequestKeys) {
        let scope = client.map { Array("\($0)\u{0}".utf8) } ?? []
        guard let key = RequestKey(digest: SHA256Digest.of(scope, key)) else { return nil }
        self.key = key
        self.keys = keys
    }

    /// Claims the key for a body; nil when the request is the first with it.
    mutating func begin(
        _ body: UnsafeRawBufferPointer, _ form: HTTPIngestOptions.Form, at now: EventTime
    ) -> Result<Int, HTTPProblem>? {
        fingerprint = RequestKey.number(SHA256Digest.of(body)) &+ form.number
        switch keys.claim(key, fingerprint, at: now) {
        case .new:
            isHeld = true
            return nil
        case .taken(let count): return .success(count)
        case .underWay:
            return .failure(
                HTTPProblem(409, "a request with this Idempotency-Key is being handled"))
        case .different:
            return .failure(
                HTTPProblem(422, "this Idempotency-Key was used for another content"))
        case .full:
            var problem = HTTPProblem(429, "there are too many requests with an Idempotency-Key")
            problem.retryAfter = 1
            return .failure(problem)
        }
    }

    /// The events of the request are safe.
    mutating func settle(_ count: Int) {
        if isHeld { keys.settle(key, count) }
        isHeld = false
    }

    /// The request was refused: the key may be used again.
    mutating func abandon() {
        if isHeld { keys.abandon(key) }
        isHeld = false
    }
}

extension HTTPIngestOptions.Form {
    /// Tells contents apart that are the same bytes in another form.
    fileprivate var number: UInt64 {
        switch self {
        case .document: 0
        case .array: 1
        case .lines: 2
        }
    }
}
