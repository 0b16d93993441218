import Synchronization

/// What a server has counted so far.
public struct ServerCounters: Sendable, Hashable {
    /// Connections open now.
    public var connectionsOpen = 0
    /// Connections accepted.
    public var connectionsAccepted = 0
    /// Connections closed at once because of a limit.
    public var connectionsRefused = 0
    /// Connections closed at once because there were many of one address, among those.
    public var addressesRefused = 0
    /// Times that accepting failed, for instance without free descriptors.
    public var acceptFailures = 0
    /// TLS handshakes that succeeded.
    public var handshakes = 0
    /// TLS handshakes that resumed an earlier session, among those.
    public var handshakesResumed = 0
    /// TLS handshakes that failed, for whatever reason.
    public var handshakeFailures = 0
    /// WebSocket connections opened.
    public var webSocketsOpened = 0
    /// Bytes received on connections that are closed or were read, protocols and all.
    public var bytesIn = 0
    /// Bytes that the kernel took.
    public var bytesOut = 0
    /// WebSocket messages received.
    public var messagesIn = 0
    /// WebSocket messages sent, once for each connection.
    public var messagesOut = 0
    /// HTTP requests answered, handshakes included.
    public var requests = 0
    /// Messages dropped for connections whose write queue was full.
    public var slowConsumerDrops = 0
    /// Connections closed because their write queue was full.
    public var slowConsumersClosed = 0
    /// Connections closed because a request's head did not come in time.
    public var headTimeouts = 0
    /// WebSocket connections refused because of the page they came from.
    public var originsRefused = 0
    /// Connections closed because a request's body did not come in time.
    public var bodyTimeouts = 0
    /// Requests whose answer took too long.
    public var answerTimeouts = 0
    /// Connections of TCP and Unix sources closed because nothing came for too long.
    public var idleTimeouts = 0
    /// Connections closed because a frame or a WebSocket message that had begun did not end in time.
    public var messageTimeouts = 0
    /// Requests, connections and events refused by access control, by the reason.
    ///
    /// The words are those of ``AccessRefusal``; `rate` counts how often somebody was over a limit.
    public var accessRefused: [String: Int] = [:]
    /// Well-formed requests that were refused, by the status given.
    public var rejected: [Int: Int] = [:]
    /// Breaches of protocol by the status (HTTP, 4xx and 5xx) or close code (WebSocket) given.
    public var protocolErrors: [Int: Int] = [:]
}

/// What listens in a run beside its servers, and counts its connections.
protocol ListenerCounting: Sendable {
    /// The address that was asked for, such as `tcp://127.0.0.1:8081`.
    var name: String { get }
    var counters: ServerCounters { get }
}

/// Counters that one loop writes and any thread reads.
final class ServerCounterCells: Sendable {
    /// A counter with one writer, which needs no locked instruction.
    struct Cell: ~Copyable, Sendable {
        private let value = Atomic<Int>(0)

        func add(_ amount: Int) {
            value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
        }

        func set(_ newValue: Int) { value.store(newValue, ordering: .relaxed) }

        var current: Int { value.load(ordering: .relaxed) }
    }

    let connectionsOpen = Cell()
    let connectionsAccepted = Cell()
    let connectionsRefused = Cell()
    let addressesRefused = Cell()
    let acceptFailures = Cell()
    let handshakes = Cell()
    let handshakesResumed = Cell()
    let handshakeFailures = Cell()
    let webSocketsOpened = Cell()
    let bytesIn = Cell()
    let bytesOut = Cell()
    let messagesIn = Cell()
    let messagesOut = Cell()
    let requests = Cell()
    let slowConsumerDrops = Cell()
    let slowConsumersClosed = Cell()
    let headTimeouts = Cell()
    let originsRefused = Cell()
    let bodyTimeouts = Cell()
    let answerTimeouts = Cell()
    let idleTimeouts = Cell()
    let messageTimeouts = Cell()
    private let accessRefused = Mutex<[String: Int]>([:])
    private let rejected = Mutex<[Int: Int]>([:])
    private let protocolErrors = Mutex<[Int: Int]>([:])

    /// Takes over what a listener has counted.
    func count(_ listener: TCPListener) {
        connectionsOpen.set(listener.openCount)
        connectionsAccepted.set(listener.acceptedCount)
        connectionsRefused.set(listener.refusedCount)
        addressesRefused.set(listener.addressRefusedCount)
        acceptFailures.set(listener.failureCount)
        handshakes.set(listener.handshakeCount)
        handshakesResumed.set(listener.resumedCount)
        handshakeFailures.set(listener.handshakeFailureCount)
    }

    /// Counts a breach by its code, of which there are few.
    func countProtocolError(_ code: Int) {
        protocolErrors.withLock { $0[code, default: 0] += 1 }
    }

    /// Reasons that are counted by name; authenticators may have their own.
    private static let accessReasonsMax = 64

    /// Counts a refusal by its reason.
    func countAccessRefused(_ reason: AccessRefusal) {
        accessRefused.withLock { counts in
            let isKnown = counts[reason.description] != nil
            let hasRoom = counts.count < Self.accessReasonsMax
            counts[isKnown || hasRoom ? reason.description : "other", default: 0] += 1
        }
    }

    /// Counts a refused request by its status.
    func countRejected(_ status: Int) {
        rejected.withLock { $0[status, default: 0] += 1 }
    }

    var snapshot: ServerCounters {
        ServerCounters(
            connectionsOpen: connectionsOpen.current,
            connectionsAccepted: connectionsAccepted.current,
            connectionsRefused: connectionsRefused.current,
            addressesRefused: addressesRefused.current,
            acceptFailures: acceptFailures.current, handshakes: handshakes.current,
            handshakesResumed: handshakesResumed.current,
            handshakeFailures: handshakeFailures.current,
            webSocketsOpened: webSocketsOpened.current,
            bytesIn: bytesIn.current, bytesOut: bytesOut.current, messagesIn: messagesIn.current,
            messagesOut: messagesOut.current, requests: requests.current,
            slowConsumerDrops: slowConsumerDrops.current,
            slowConsumersClosed: slowConsumersClosed.current, headTimeouts: headTimeouts.current,
            originsRefused: originsRefused.current,
            bodyTimeouts: bodyTimeouts.current, answerTimeouts: answerTimeouts.current,
            idleTimeouts: idleTimeouts.current, messageTimeouts: messageTimeouts.current,
            accessRefused: accessRefused.withLock { $0 },
            rejected: rejected.withLock { $0 },
            protocolErrors: protocolErrors.withLock { $0 })
    }
}
