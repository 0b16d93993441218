import WeirCore
import WeirNetwork

/// A client's connection that publishes, with a window of unacknowledged messages.
final class MQTTPublisher: Sendable {
    private let state: LoopBound<MQTTPublishing>

    private init(_ state: LoopBound<MQTTPublishing>) {
        self.state = state
    }

    static func connect(
        _ endpoint: MQTTEndpoint, _ options: MQTTOptions, tls: TLSClientContext?, qos: MQTTQoS,
        isRetained: Bool, _ monitor: ConnectionMonitor, on loop: Loop
    ) async throws -> MQTTPublisher {
        try await loop.wait { wait in
            MQTTConnection.open(endpoint, options, tls: tls, on: loop) { result in
                let publisher = Result {
                    let connection = try result.get()
                    let publishing = try MQTTPublishing(
                        connection, options, qos: qos, isRetained: isRetained, monitor)
                    return MQTTPublisher(LoopBound(publishing, on: loop))
                }
                if !wait.end(publisher) { try? result.get().disconnect() }
            }
        }
    }

    /// Publishes what remains of a shipment; returns when the broker has acknowledged it all.
    ///
    /// - Throws: When the connection is lost, and when the task is cancelled, which cuts it.
    func publish(_ shipment: MQTTShipment) async throws {
        let state = state
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                state.loop.execute { state.value.begin(shipment, continuation) }
            }
        } onCancel: {
            // A broker that says nothing would be waited for until its silence is noticed.
            state.loop.execute { state.value.abandon() }
        }
    }

    func close() {
        let state = state
        state.loop.execute { state.value.disconnect() }
    }
}

/// The messages on their way over one connection; used on its loop only.
private final class MQTTPublishing: MQTTConnectionOwner {
    private let connection: MQTTConnection
    private let qos: MQTTQoS
    private let isRetained: Bool
    private let inFlightMax: Int
    private let packetMax: Int
    private let monitor: ConnectionMonitor
    private var shipment: MQTTShipment?
    private var continuation: CheckedContinuation<Void, any Error>?
    /// What is still to be sent, last first.
    private var waiting: [Int] = []
    private var inFlight: [UInt16: Int] = [:]
    /// Numbers whose PUBREL found no room yet: without it their messages never come to an end.
    private var unreleased: Set<UInt16> = []
    private var last: UInt16 = 0
    private var failure: (any Error)?

    init(
        _ connection: MQTTConnection, _ options: MQTTOptions, qos: MQTTQoS, isRetained: Bool,
        _ monitor: ConnectionMonitor
    ) throws(MQTTError) {
        let told = connection.welcome.properties
        if let maximum = told.maximumQoS, qos.rawValue > maximum {
            connection.disconnect()
            throw MQTTError(
                "the broker takes messages up to QoS \(maximum)", code: 0x9B, isPermanent: true)
        }
        if isRetained, !told.isRetainAvailable {
            connection.disconnect()
            throw MQTTError("the broker retains no messages", code: 0x9A, isPermanent: true)
        }
        self.connection = connection
        self.monitor = monitor
        self.qos = qos
        self.isRetained = isRetained
        inFlightMax = min(options.inFlightMax, Int(told.receiveMaximum ?? .max))
        packetMax = Int(told.maximumPacketSize ?? 268_435_460)
        connection.owner = self
    }

    func begin(_ shipment: MQTTShipment, _ continuation: CheckedContinuation<Void, any Error>) {
        if let failure {
            continuation.resume(throwing: failure)
            return
        }
        self.shipment = shipment
        self.continuation = continuation
        waiting = shipment.remaining.reversed()
        goOn()
    }

    func disconnect() { connection.disconnect() }

    func abandon() { connection.close(CancellationError()) }

    private func goOn() {
        while let identifier = unreleased.first {
            let outcome = connection.write { $0.step(.release, identifier) }
            // `drained` goes on, or `closed` ends it.
            if outcome == .refused || outcome == .closed { return }
            unreleased.remove(identifier)
        }
        guard let shipment else { return }
        defer { monitor.setInFlight(inFlight.count) }
        while inFlight.count < inFlightMax, let number = waiting.last {
            let message = shipment.messages[number]
            // The header, the lengths, the number and the properties: at most ten bytes.
            if message.topic.utf8.count + message.payload.count + 10 > packetMax {
                waiting.removeLast()
                shipment.refused(
                    number,
                    MQTTError("the broker takes packets up to \(packetMax) bytes", code: 0x95))
                continue
            }
            let identifier = qos == .atMostOnce ? 0 : nextIdentifier()
            let outcome = connection.write { writer in
                writer.publish(
                    topic: message.topic, payload: message.payload, qos: qos,
                    isRetained: isRetained, identifier: identifier, isDuplicate: false)
            }
            if outcome == .refused || outcome == .closed { return }
            waiting.removeLast()
            if qos == .atMostOnce {
                shipment.done(number)
            } else {
                inFlight[identifier] = number
            }
        }
        guard waiting.isEmpty, inFlight.isEmpty else { return }
        self.shipment = nil
        continuation?.resume()
        continuation = nil
    }

    /// One that isn't in use; there are more of them than may be in flight.
    private func nextIdentifier() -> UInt16 {
        repeat {
            last = last == .max ? 1 : last + 1
        } while inFlight[last] != nil
        return last
    }

    func received(
        _ packet: MQTTPacket, on connection: MQTTConnection
    ) throws(MQTTError) -> Flow {
        guard case .step(let step, let identifier, let code, let reason) = packet,
            let number = inFlight[identifier], let shipment
        else { throw .malformed("it acknowledges what was not sent") }
        switch (step, qos) {
        case (.published, .atLeastOnce), (.complete, .exactlyOnce), (.received, .exactlyOnce):
            break
        default: throw .malformed("it acknowledges a message of another QoS")
        }
        if step == .received, code < 0x80 {
            if connection.write({ $0.step(.release, identifier) }) == .refused {
                unreleased.insert(identifier)
            }
            return .proceed
        }
        if code >= 0x80, step != .complete {
            let error = MQTTError.refused("a message", code, text: reason)
            // A full broker takes it later; any other reason is the message's own.
            if code == 0x97 { throw error }
            shipment.refused(number, error)
        } else {
            shipment.done(number)
        }
        inFlight[identifier] = nil
        return .proceed
    }

    func receivedAll(on connection: MQTTConnection) { goOn() }

    func drained(_ connection: MQTTConnection) { goOn() }

    func closed(_ connection: MQTTConnection, _ error: any Error) {
        failure = error
        shipment = nil
        inFlight.removeAll()
        unreleased.removeAll()
        monitor.setInFlight(0)
        continuation?.resume(throwing: error)
        continuation = nil
    }
}
