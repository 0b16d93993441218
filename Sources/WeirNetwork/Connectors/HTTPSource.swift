public import WeirCore

extension Source {
    /// Events from POST requests with JSON: one document, an array, or a stream of lines.
    ///
    /// See the source with a decoder of one's own.
    @inlinable
    public static func http(
        _ path: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        as type: Element.Type = Element.self, options: HTTPIngestOptions = HTTPIngestOptions()
    ) -> Source where Element: Decodable {
        http(path, host: host, port: port, tls: tls, decoder: .json, options: options)
    }

    /// Events from POST requests, decoded in a way of your own.
    ///
    /// A request is answered with `202` and `{"accepted":N}` once its events are safe: in the
    /// stage's mailbox, or in a run with a store durable in the ingest journal. Then they are
    /// handled although the process dies, and come again after a restart as far as no checkpoint
    /// has them.
    ///
    /// - `application/json`: one event, or an array of events, of which all or none are taken.
    /// - `application/x-ndjson`: an event a line, taken as they come: the socket is not read while
    ///   there is no room. Empty lines are left out.
    ///
    /// What can't become an event is answered with `400` and a problem body (RFC 9457) that names
    /// the line of a stream or the index in an array, the byte offset and the reason; `accepted`
    /// says how many events before it were taken. It does not go to the dead letters. When there
    /// is no room for ``HTTPIngestOptions/patience`` the answer is `429` with `Retry-After`, and
    /// `503` while the source is about to stop or the disk fails; `413` and `415` say that the
    /// body is too long or of another type. A request without an answer may have been taken.
    ///
    /// A request with an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) is taken as a
    /// whole or not at all, and once: the same request again, with the same key within
    /// ``IngestLimits/requestKeyLifetime``, gets the answer of the first. In a run with a store the
    /// keys are as durable as the events. Another body with the key gets `422`, the same one while
    /// the first is being handled `409`, a malformed key `400`.
    ///
    /// - Parameters:
    ///   - path: The path of the requests, such as `/payments`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port; 0 lets the system choose, `running.addresses` then says which.
    ///   - tls: Speaks TLS (`https://`); nil, the default, does not. All on one port give the same.
    ///   - decoder: How a message becomes an event.
    ///   - options: Bounds and media types.
    public static func http(
        _ path: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        decoder: EventDecoder<Element>, options: HTTPIngestOptions = HTTPIngestOptions()
    ) -> Source {
        Source(
            "http", endpoint: "http POST \(host):\(port)\(path)",
            prepare: { context in
                let journal = try await context.ingestJournal(options.limits)
                let shared = try SharedServer.of(
                    context.resources, host: host, port: port, tls: tls, logger: context.logger)
                let gate = HTTPIngestGate.of(
                    shared, path, decoder, options, context, journal)
                shared.server.addResponder(
                    "POST", path, roles: .ingest, gate.responder)
                try await shared.start()
            }
        ) { inlet in
            let shared = try SharedServer.of(
                inlet.context.resources, host: host, port: port, tls: tls,
                logger: inlet.context.logger)
            let journal = try await inlet.context.ingestJournal(options.limits)
            let gate = HTTPIngestGate.of(
                shared, path, decoder, options, inlet.context, journal
            ).bound
            if let journal {
                try await HTTPIngestRun.run(gate, inlet, journal, decoder)
            } else {
                try await HTTPIngestRun.run(gate, inlet)
            }
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}

/// The life of a source that takes POST requests, on the tasks of the run.
private enum HTTPIngestRun {
    /// Without a store: events go straight into the mailbox.
    static func run<Element: Sendable>(
        _ gate: LoopBound<HTTPIngestGate<Element>>, _ inlet: Inlet<Element>
    ) async throws {
        try await gate.loop.run { gate.value.open(inlet, nil) }
        await waitForCancellation()
        try await gate.loop.run { gate.value.close() }
    }

    /// With a store: what comes goes to the journal, and from there to the stage.
    static func run<Element: Sendable>(
        _ gate: LoopBound<HTTPIngestGate<Element>>, _ inlet: Inlet<Element>,
        _ journal: IngestJournal, _ decoder: EventDecoder<Element>
    ) async throws {
        let delivery = IngestDelivery(
            journal: journal, inlet: inlet, decodeFrom: decoder.appender(forRecorded:))
        try await delivery.begin()
        let loop = gate.loop
        journal.onFlow { isOpen in
            if isOpen { loop.execute { gate.value.drainWaiting() } }
        }
        let (ending, continuation) = AsyncStream<Void>.makeStream()
        let context = inlet.context
        // Not cancelled with the source: what is durable is handed on first.
        let delivering = startTask(on: context.environment.executor) {
            defer { continuation.finish() }
            try await delivery.run()
        }
        let retrying = startTask(on: context.environment.executor) {
            await ConnectionSource<Element>.retry(journal, context)
        }
        try await loop.run { gate.value.open(inlet, journal) }
        await withTaskCancellationHandler {
            for await _ in ending {}
        } onCancel: {
            continuation.finish()
        }
        try await loop.run { gate.value.close() }
        await journal.flush()
        // What became durable last is answered before the server goes.
        try await loop.run {}
        journal.finish()
        retrying.cancel()
        try? await retrying.value
        try await delivering.value
    }
}
