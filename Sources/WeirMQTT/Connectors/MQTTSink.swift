import Logging
public import WeirCore
public import WeirNetwork

extension Sink {
    /// Publishes every event to an MQTT broker in JSON; see the sink with an encoder of one's own.
    public static func mqtt(
        _ url: String, qos: MQTTQoS = .atLeastOnce, isRetained: Bool = false,
        options: MQTTOptions = MQTTSinkOptions.standard,
        topic: @escaping @Sendable (Element) -> String
    ) -> Sink where Element: Encodable {
        mqtt(
            url, qos: qos, isRetained: isRetained, options: options, encoder: .json, topic: topic)
    }

    /// Publishes every event to an MQTT broker, each as one message.
    ///
    /// With QoS 1 and 2 a batch is written when the broker has acknowledged each of its messages;
    /// `options.inFlightMax` of them are on their way at a time. When the connection is lost it is
    /// made again after growing pauses, and what was not acknowledged is published again: at least
    /// once. QoS 2 keeps its word for as long as the connection lasts. QoS 0 is at most once, but a
    /// batch that failed comes again. After `options.reconnection.attempts` (10) the error goes to
    /// the sink's supervisor. An event whose topic has wildcards, or that the broker refuses, goes
    /// to the dead letters.
    ///
    /// It connects when the topology starts, which fails when the broker is not there.
    ///
    /// - Parameters:
    ///   - url: `mqtt://host:1883`, or `mqtts://host:8883` for TLS.
    ///   - qos: How surely messages are to come; at least once by default.
    ///   - isRetained: Whether the broker keeps the last message of a topic for later subscribers.
    ///   - options: How it connects; user, will, times and limits. Its session is a new one always.
    ///   - encoder: How an event becomes a payload.
    ///   - topic: Where an event is published to.
    public static func mqtt(
        _ url: String, qos: MQTTQoS = .atLeastOnce, isRetained: Bool = false,
        options: MQTTOptions = MQTTSinkOptions.standard, encoder: EventEncoder<Element>,
        topic: @escaping @Sendable (Element) -> String
    ) -> Sink {
        Sink("mqtt") { context in
            let writer = try MQTTSinkWriter(
                url, qos: qos, isRetained: isRetained, options: options, encoder: encoder,
                topic: topic, context: context)
            try await writer.connect()
            return writer
        }
    }
}

/// The options of a sink where none are given.
public enum MQTTSinkOptions {
    /// The defaults, with 10 attempts in a row to connect again.
    public static var standard: MQTTOptions {
        var options = MQTTOptions()
        options.reconnection = ReconnectionPolicy(attempts: 10)
        return options
    }
}

extension MQTTError: SinkUnavailable {}

private final class MQTTSinkWriter<Element: Sendable>: SinkWriter {
    private let endpoint: MQTTEndpoint
    private let qos: MQTTQoS
    private let isRetained: Bool
    private let options: MQTTOptions
    private let tls: TLSClientContext?
    private let encoder: EventEncoder<Element>
    private let topic: @Sendable (Element) -> String
    private let context: SinkContext
    private let monitor: ConnectionMonitor
    private var publisher: MQTTPublisher?

    init(
        _ url: String, qos: MQTTQoS, isRetained: Bool, options: MQTTOptions,
        encoder: EventEncoder<Element>, topic: @escaping @Sendable (Element) -> String,
        context: SinkContext
    ) throws {
        endpoint = try MQTTEndpoint(url)
        var options = options
        options.session = .new
        _ = try options.connect()
        self.options = options
        tls = endpoint.isSecure ? try TLSClientContext(options.tls) : nil
        self.qos = qos
        self.isRetained = isRetained
        self.encoder = encoder
        self.topic = topic
        self.context = context
        monitor = .of(
            context.resources, stage: context.stage, kind: "mqtt", address: endpoint.name)
    }

    func connect() async throws {
        do {
            publisher = try await MQTTPublisher.connect(
                endpoint, options, tls: tls, qos: qos, isRetained: isRetained, monitor,
                on: try Loop.shared())
        } catch {
            lost(error)
            throw error
        }
        monitor.connected()
        context.logger.info("mqtt connected", metadata: metadata())
    }

    private func lost(_ error: any Error) {
        monitor.lost(error)
        if (error as? MQTTError)?.isRefusal ?? false { monitor.refused() }
    }

    private func metadata() -> Logger.Metadata {
        ["stage": "\(context.stage)", "broker": "\(endpoint.name)"]
    }

    func write(_ batch: Batch<Element>) async throws {
        let (shipment, unfit) = shipment(of: batch)
        var reconnection = Reconnection(options.reconnection)
        while true {
            do {
                if publisher == nil { try await connect() }
                try await publisher?.publish(shipment)
                break
            } catch {
                // A connection that can't be made was counted there.
                if publisher != nil { lost(error) }
                publisher = nil
                if error is CancellationError { throw error }
                var generator = SystemRandomNumberGenerator()
                let isPermanent = (error as? MQTTError)?.isPermanent ?? false
                guard !isPermanent, let pause = reconnection.next(using: &generator) else {
                    throw error
                }
                context.logger.notice(
                    "mqtt lost",
                    metadata: metadata().merging([
                        "error": "\(error)", "retry": "\(pause)",
                    ]) { $1 })
                try await context.sleep(for: pause)
            }
        }
        // Only now: until all others are published the whole batch may come again.
        for (event, reason) in unfit { context.deadLetter(event, reason: reason) }
        monitor.refused(shipment.refusals.count)
        for (index, error) in shipment.refusals {
            context.deadLetter(batch.elements[index], reason: error.message)
        }
    }

    /// The messages of a batch, and the events that can't be one with the reason.
    private func shipment(
        of batch: Batch<Element>
    ) -> (MQTTShipment, unfit: [(Element, reason: String)]) {
        var unfit: [(Element, reason: String)] = []
        var messages: [MQTTOutgoing] = []
        messages.reserveCapacity(batch.count)
        for (index, event) in batch.elements.enumerated() {
            let topic = topic(event)
            guard MQTTTopic.isName(topic) else {
                unfit.append(
                    (event, "'\(topic)' is no name of a topic: it is empty or has wildcards"))
                continue
            }
            var payload: [UInt8] = []
            do {
                try encoder.append(event, to: &payload)
            } catch {
                unfit.append((event, "it can't be encoded: \(error)"))
                continue
            }
            messages.append(MQTTOutgoing(topic: topic, payload: payload, index: index))
        }
        return (MQTTShipment(messages), unfit)
    }

    func close() async throws {
        publisher?.close()
        monitor.ended()
    }
}
