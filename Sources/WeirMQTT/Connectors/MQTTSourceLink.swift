import Logging
import WeirCore
import WeirNetwork

/// The connection of a source to its broker, made again when it is lost; used on its loop only.
final class MQTTSourceLink<Element: Sendable>: MQTTConnectionOwner {
    private let endpoint: MQTTEndpoint
    private let options: MQTTOptions
    private let subscriptions: [MQTTSubscription]
    private let intake: MQTTIntake<Element>
    private let received: MQTTReceived
    private let tls: TLSClientContext?
    private let context: SourceContext
    private let loop: Loop
    private let onFailure: (any Error) -> Void
    private let monitor: ConnectionMonitor
    private var reconnection: Reconnection
    private var timer: LoopTimer?
    private var connection: MQTTConnection?
    private var hasStopped = false

    /// The number of the only packet of this side that has one.
    private static var subscribeNumber: UInt16 { 1 }

    init(
        _ endpoint: MQTTEndpoint, _ options: MQTTOptions, _ subscriptions: [MQTTSubscription],
        _ intake: MQTTIntake<Element>, _ received: MQTTReceived, tls: TLSClientContext?,
        _ context: SourceContext, _ loop: Loop, onFailure: @escaping (any Error) -> Void
    ) {
        self.endpoint = endpoint
        self.options = options
        self.subscriptions = subscriptions
        self.intake = intake
        self.received = received
        self.tls = tls
        self.context = context
        self.loop = loop
        self.onFailure = onFailure
        monitor = .of(
            context.resources, stage: context.stage, kind: "mqtt", address: endpoint.name)
        reconnection = Reconnection(options.reconnection)
    }

    func start() {
        if hasStopped { return }
        intake.onAccepted = { [received] in received.accepted($0) }
        received.onSafe = { [weak self] in self?.acknowledge($0) }
        intake.onRoom = { [weak self] in self?.connection?.resume() }
        MQTTConnection.open(endpoint, options, tls: tls, on: loop) { [self] result in
            switch result {
            case .failure(let error): lost(error)
            case .success(let connection):
                if hasStopped { connection.disconnect() } else { opened(connection) }
            }
        }
    }

    /// Reads no more, and returns what has been read and not passed on.
    func stopReading() -> (batch: Batch<Element>, receipts: [MQTTReceipt]) {
        hasStopped = true
        timer?.close()
        timer = nil
        connection?.pause()
        _ = intake.pass()
        return intake.takeRest()
    }

    /// Says farewell.
    func disconnect() {
        connection?.disconnect()
        connection = nil
        monitor.ended()
    }

    /// The journal says whether connections may be read.
    func followJournal() {
        if hasStopped { return }
        if intake.isOpen { connection?.resume() } else { connection?.pause() }
    }

    private func opened(_ connection: MQTTConnection) {
        self.connection = connection
        connection.owner = self
        reconnection.connected()
        monitor.connected()
        let isPresent = connection.welcome.isSessionPresent
        received.connected(isSessionPresent: isPresent)
        context.logger.info(
            "mqtt connected",
            metadata: metadata().merging(["session": isPresent ? "kept" : "new"]) { $1 })
        connection.write {
            $0.subscribe(
                Self.subscribeNumber, subscriptions, onlyNewRetained: options.session.isKept)
        }
        if !intake.isOpen { connection.pause() }
    }

    private func lost(_ error: any Error) {
        connection = nil
        _ = intake.pass()
        if hasStopped { return }
        monitor.lost(error)
        if (error as? MQTTError)?.isRefusal ?? false { monitor.refused() }
        var generator = SystemRandomNumberGenerator()
        let isPermanent = (error as? MQTTError)?.isPermanent ?? false
        guard !isPermanent, let pause = reconnection.next(using: &generator) else {
            context.logger.error("mqtt given up", metadata: metadata(error))
            return onFailure(error)
        }
        context.logger.notice(
            "mqtt lost", metadata: metadata(error).merging(["retry": "\(pause)"]) { $1 })
        do {
            timer?.close()
            timer = try LoopTimer(on: loop) { [weak self] in self?.start() }
            timer?.start(after: pause)
        } catch {
            onFailure(error)
        }
    }

    private func metadata(_ error: (any Error)? = nil) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "stage": "\(context.stage)", "broker": "\(endpoint.name)",
        ]
        if let error { metadata["error"] = "\(error)" }
        return metadata
    }

    // MARK: Packets

    func received(
        _ packet: MQTTPacket, on connection: MQTTConnection
    ) throws(MQTTError) -> Flow {
        switch packet {
        case .publish(let publish): return take(publish, connection)
        case .step(.release, let identifier, _, _):
            received.release(identifier)
            connection.write { $0.step(.complete, identifier) }
            return .proceed
        case .subscribeAck(let identifier, let codes):
            try check(identifier, codes)
            reconnection.succeeded()
            return .proceed
        case .connectAck, .step, .pingResponse, .disconnect:
            throw .malformed("it acknowledges what was not sent")
        }
    }

    private func check(_ identifier: UInt16, _ codes: [UInt8]) throws(MQTTError) {
        guard identifier == Self.subscribeNumber, codes.count == subscriptions.count else {
            throw .malformed("its SUBACK is for another SUBSCRIBE")
        }
        for (subscription, code) in zip(subscriptions, codes) {
            if code >= 0x80 {
                let error = MQTTError.refused("the subscription to '\(subscription.filter)'", code)
                throw MQTTError(
                    error.message, code: code, isPermanent: true, isRefusal: true)
            }
            if code < subscription.qos.rawValue {
                context.logger.notice(
                    "the broker grants less than was asked for",
                    metadata: [
                        "stage": "\(context.stage)", "filter": "\(subscription.filter)",
                        "asked": "QoS \(subscription.qos.rawValue)", "granted": "QoS \(code)",
                    ])
            }
        }
    }

    private func take(_ publish: MQTTPacket.Publish, _ connection: MQTTConnection) -> Flow {
        let (qos, identifier) = (publish.message.qos, publish.identifier)
        if qos == .atMostOnce { return take(publish, nil) }
        switch received.take(identifier) {
        case .safe:
            // Its PUBREC was lost with a connection.
            connection.write { $0.step(.received, identifier) }
            return .proceed
        // Sent again over a new connection while it is on its way.
        case .underWay: return .proceed
        case .new:
            return take(
                publish,
                MQTTReceipt(identifier: identifier, qos: qos, session: received.session))
        }
    }

    private func take(_ publish: MQTTPacket.Publish, _ receipt: MQTTReceipt?) -> Flow {
        guard let length = publish.cutFrom else { return intake.take(publish.message, receipt) }
        intake.giveUp(
            publish.message, receipt,
            reason: "the packet has \(length) bytes, more than the "
                + "\(options.maximumPacketLength) of maximumPacketLength; this is its beginning")
        return .proceed
    }

    private func acknowledge(_ receipts: [MQTTReceipt]) {
        monitor.setInFlight(received.pendingCount)
        guard let connection, !receipts.isEmpty else { return }
        connection.write { writer in
            for receipt in receipts {
                writer.step(
                    receipt.qos == .exactlyOnce ? .received : .published, receipt.identifier)
            }
        }
    }

    func receivedAll(on connection: MQTTConnection) {
        if intake.pass() == .stop { connection.pause() }
        if let failure = intake.failure { connection.close(failure) }
        monitor.setInFlight(received.pendingCount)
    }

    func drained(_ connection: MQTTConnection) {}

    func closed(_ connection: MQTTConnection, _ error: any Error) {
        if hasStopped { return }
        if let failure = intake.failure { return onFailure(failure) }
        lost(error)
    }
}
