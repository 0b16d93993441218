public import WeirCore
import WeirNetwork

extension Source {
    /// Events from an MQTT broker, each payload in JSON; see the source with a decoder of one's own.
    public static func mqtt(
        _ url: String, subscribe subscriptions: [MQTTSubscription],
        as type: Element.Type = Element.self, options: MQTTOptions = MQTTOptions()
    ) -> Source where Element: Decodable {
        mqtt(url, subscribe: subscriptions, options: options, decoder: .json)
    }

    /// Events from an MQTT broker: each message of the topics that are subscribed to is one event.
    ///
    /// A message of QoS 1 or 2 is acknowledged when the stage's mailbox has it, in a run with a
    /// store when it is durable in the ingest journal: what was not acknowledged comes again, at
    /// least once, provided the session is kept (`options.session`, with a `clientID`). Within a
    /// process QoS 2 comes exactly once; over its restart, at least once. While the stage is full
    /// the socket is not read, and the broker sends at most `options.inFlightMax` messages that
    /// were not acknowledged. A message that can't be decoded goes to the dead letters and is
    /// acknowledged.
    ///
    /// A connection that is lost is made again after growing pauses. What the broker refuses for
    /// good, such as a password or a subscription, goes to the stage's supervisor.
    ///
    /// ```swift
    /// var options = MQTTOptions()
    /// options.clientID = "plant-7"
    /// options.session = .kept(for: .hours(24))
    /// EventStream("readings", from: .mqtt("mqtt://broker:1883", subscribe: ["plant/+/reading"], options: options))
    /// ```
    ///
    /// - Parameters:
    ///   - url: `mqtt://host:1883`, or `mqtts://host:8883` for TLS.
    ///   - subscriptions: The topics.
    ///   - options: How it connects; session, user, will, times and limits.
    ///   - decoder: How a message becomes an event.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func mqtt(
        _ url: String, subscribe subscriptions: [MQTTSubscription],
        options: MQTTOptions = MQTTOptions(), decoder: MQTTDecoder<Element>,
        limits: IngestLimits = IngestLimits()
    ) -> Source {
        Source(
            "mqtt",
            prepare: { context in
                _ = try MQTTEndpoint(url)
                _ = try options.connect()
                try check(subscriptions)
                _ = try await context.ingestJournal(limits)
            }
        ) { inlet in
            try await MQTTSourceRun(
                inlet, endpoint: try MQTTEndpoint(url), options: options,
                subscriptions: subscriptions, decoder: decoder, limits: limits
            ).run()
        }.recorded(decoder.appendRecorded)
    }

    private static func check(_ subscriptions: [MQTTSubscription]) throws(MQTTError) {
        if subscriptions.isEmpty {
            throw MQTTError("there is nothing to subscribe to", isPermanent: true)
        }
        for subscription in subscriptions where !MQTTTopic.isFilter(subscription.filter) {
            throw MQTTError(
                "'\(subscription.filter)' is no filter of topics: '+' and '#' stand alone between "
                    + "slashes, '#' at the end", isPermanent: true)
        }
    }
}

/// One run of a source: with the journal of a store or without.
private struct MQTTSourceRun<Element: Sendable>: Sendable {
    private let inlet: Inlet<Element>
    private let endpoint: MQTTEndpoint
    private let options: MQTTOptions
    private let subscriptions: [MQTTSubscription]
    private let decoder: MQTTDecoder<Element>
    private let limits: IngestLimits

    init(
        _ inlet: Inlet<Element>, endpoint: MQTTEndpoint, options: MQTTOptions,
        subscriptions: [MQTTSubscription], decoder: MQTTDecoder<Element>, limits: IngestLimits
    ) {
        self.inlet = inlet
        self.endpoint = endpoint
        self.options = options
        self.subscriptions = subscriptions
        self.decoder = decoder
        self.limits = limits
    }

    func run() async throws {
        let loop = try Loop.shared()
        let context = inlet.context
        let tls = endpoint.isSecure ? try TLSClientContext(options.tls) : nil
        let journal = try await context.ingestJournal(limits)
        let received = context.resources.shared("mqtt numbers of \(context.stage)") {
            LoopBound(MQTTReceived(), on: loop)
        } close: { _ in
        }
        let (failures, end) = AsyncStream<any Error>.makeStream()
        let link = try await loop.run {
            let intake = MQTTIntake(
                inlet, journal: journal, decoder: decoder, origin: endpoint.name, loop: loop)
            if journal == nil { received.value.forgetPending() }
            return LoopBound(
                MQTTSourceLink(
                    endpoint, options, subscriptions, intake, received.value, tls: tls, context,
                    loop
                ) { error in
                    end.yield(error)
                    end.finish()
                }, on: loop)
        }
        let failure: (any Error)?
        if let journal {
            failure = try await run(link, journal, failures, end)
        } else {
            try await loop.run { link.value.start() }
            failure = await Self.first(failures, end)
            let rest = try await loop.run {
                let rest = link.value.stopReading()
                return (rest.batch, rest.receipts)
            }
            // By a task that isn't cancelled, so that nothing stays behind.
            if !rest.0.isEmpty {
                try await Task { [inlet] in try await inlet.send(rest.0) }.value
            }
            try await loop.run {
                received.value.accepted(rest.1)
                link.value.disconnect()
            }
        }
        if let failure { throw failure }
    }

    private func run(
        _ link: LoopBound<MQTTSourceLink<Element>>, _ journal: IngestJournal,
        _ failures: AsyncStream<any Error>, _ end: AsyncStream<any Error>.Continuation
    ) async throws -> (any Error)? {
        let (loop, context, decoder) = (link.loop, inlet.context, decoder)
        let delivery = IngestDelivery(
            journal: journal, inlet: inlet,
            decodeFrom: { _ in decoder.appendRecorded })
        try await delivery.begin()
        journal.onFlow { _ in loop.execute { link.value.followJournal() } }
        // Not cancelled with the source: what is durable is handed on first.
        let delivering = startTask(on: context.environment.executor) {
            defer { end.finish() }
            try await delivery.run()
        }
        let retrying = startTask(on: context.environment.executor) {
            try await Self.retry(journal, context)
        }
        try await loop.run { link.value.start() }
        let failure = await Self.first(failures, end)
        try await loop.run { _ = link.value.stopReading() }
        await journal.flush()
        try await loop.run { link.value.disconnect() }
        journal.finish()
        retrying.cancel()
        try? await retrying.value
        try await delivering.value
        return failure
    }

    /// Waits for what ends the source: a failure, or its being cancelled.
    private static func first(
        _ failures: AsyncStream<any Error>, _ end: AsyncStream<any Error>.Continuation
    ) async -> (any Error)? {
        await withTaskCancellationHandler {
            for await failure in failures { return failure }
            return nil
        } onCancel: {
            end.finish()
        }
    }

    /// Tries a failed disk again and again, with growing pauses.
    private static func retry(_ journal: IngestJournal, _ context: SourceContext) async throws {
        while await journal.waitUntilBlocked() {
            var pause = Duration.milliseconds(50)
            while journal.trouble != nil {
                try await context.sleep(for: pause)
                pause = min(pause * 2, .seconds(5))
                journal.retry()
                await journal.flush()
            }
        }
    }
}
