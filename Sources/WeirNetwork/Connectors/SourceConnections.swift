import WeirCore

/// All the connections of a source; used on its loop only.
final class SourceConnections<Element: Sendable> {
    private let inlet: Inlet<Element>
    private let decoder: EventDecoder<Element>
    private let registry: ProducerRegistry
    private let journal: IngestJournal?
    let loop: Loop
    private var open: [ObjectIdentifier: IngestConnection] = [:]
    private var departed = DepartedIngests<Element>()
    private var hasStopped = false

    init(
        _ inlet: Inlet<Element>, decoder: EventDecoder<Element>, registry: ProducerRegistry,
        journal: IngestJournal?, loop: Loop
    ) {
        self.inlet = inlet
        self.decoder = decoder
        self.registry = registry
        self.journal = journal
        self.loop = loop
    }

    /// Takes a connection over; it begins to be read as soon as there is room.
    ///
    /// Returns nil when the source has ended; the connection is closed then.
    func add(
        _ key: AnyObject, _ peer: any IngestPeer, from info: ConnectionInfo,
        opening: IngestConnection.Opening, access: ConnectionAccess? = nil
    ) -> IngestConnection? {
        if hasStopped {
            peer.goAway()
            return nil
        }
        let origin = info.description
        let intake: any MessageIntake
        var direct: Ingest<Element>?
        weak var added: IngestConnection?
        if let journal {
            let context = inlet.context
            // What a decoder asks about the connection has to be there when the record is decoded.
            let recorded = decoder.asksForConnection ? info.recorded : origin
            intake = JournaledIngest(journal, origin: recorded, now: { context.now }) {
                bytes, reason in
                context.deadLetter(bytes, reason: reason, origin: origin)
            }
        } else {
            let ingest = Ingest(inlet, decoder: decoder, from: info, loop: loop) {
                added?.setFull(false)
            }
            direct = ingest
            intake = ingest
        }
        let connection = IngestConnection(
            peer, intake: intake, opening: opening, origin: origin, registry: registry,
            isDurable: journal != nil, loop: loop, logger: inlet.context.logger, access: access)
        added = connection
        open[ObjectIdentifier(key)] = connection
        if let direct, departed.hasRest {
            connection.setFull(true)
            direct.resumeWhenSpace()
        } else {
            connection.setFull(!(journal?.isOpen ?? true))
        }
        return connection
    }

    /// The connections there are.
    var all: [IngestConnection] { Array(open.values) }

    subscript(key: AnyObject) -> IngestConnection? { open[ObjectIdentifier(key)] }

    /// A connection has closed.
    func remove(_ key: AnyObject) {
        guard let connection = open.removeValue(forKey: ObjectIdentifier(key)) else { return }
        connection.closed()
        if let ingest = connection.intake as? Ingest<Element> { departed.add(ingest) }
    }

    /// Lets all connections be read, or none, as the journal says.
    func followJournal() {
        guard let journal, !hasStopped else { return }
        let isFull = !journal.isOpen
        for connection in open.values { connection.setFull(isFull) }
    }

    /// Reads no more, and returns what has been read and not passed on.
    func stopReading() -> IngestRest<Element> {
        hasStopped = true
        var rest = departed.takeRest()
        for connection in open.values {
            connection.keepsQuiet()
            if let ingest = connection.intake as? Ingest<Element> {
                rest.append(ingest.takeRest())
            } else {
                _ = connection.pass()
            }
        }
        return rest
    }

    /// Closes all connections.
    func closeAll() {
        let connections = open.values
        open.removeAll()
        for connection in connections {
            connection.peer.goAway()
            connection.closed()
        }
    }
}

/// The life of a source that takes connections: with the journal of a store or without.
struct ConnectionSource<Element: Sendable>: Sendable {
    private let inlet: Inlet<Element>
    private let decoder: EventDecoder<Element>
    private let journal: IngestJournal?
    private let loop: Loop
    let connections: LoopBound<SourceConnections<Element>>

    /// Opens the journal, so that a damaged one keeps the topology from starting.
    static func prepare(_ context: SourceContext, _ limits: IngestLimits) async throws {
        _ = try await context.ingestJournal(limits)
    }

    init(
        _ inlet: Inlet<Element>, decoder: EventDecoder<Element>, limits: IngestLimits, loop: Loop
    ) async throws {
        self.inlet = inlet
        self.decoder = decoder
        self.loop = loop
        let context = inlet.context
        let journal = try await context.ingestJournal(limits)
        self.journal = journal
        let registry =
            journal?.registry
            ?? context.resources.shared("producers of \(context.stage)") {
                ProducerRegistry(
                    stage: context.stage, limit: limits.producers, logger: context.logger,
                    instruments: context.resources.instruments)
            } close: { _ in
            }
        connections = LoopBound(
            SourceConnections(
                inlet, decoder: decoder, registry: registry, journal: journal, loop: loop),
            on: loop)
    }

    /// Serves connections until the source is cancelled.
    ///
    /// - Parameters:
    ///   - open: On the loop: lets connections come.
    ///   - close: On the loop: lets no more come.
    func run(
        open: @escaping @Sendable () -> Void, close: @escaping @Sendable () -> Void
    ) async throws {
        guard let journal else { return try await runWithoutStore(open: open, close: close) }
        let delivery = IngestDelivery(
            journal: journal, inlet: inlet, decodeFrom: decoder.appender(forRecorded:))
        try await delivery.begin()
        let (connections, loop) = (connections, loop)
        journal.onFlow { _ in loop.execute { connections.value.followJournal() } }
        let (ending, continuation) = AsyncStream<Void>.makeStream()
        // Not cancelled with the source: what is durable is handed on first.
        let delivering = startTask(on: inlet.context.environment.executor) {
            defer { continuation.finish() }
            try await delivery.run()
        }
        let context = inlet.context
        let retrying = startTask(on: context.environment.executor) {
            await Self.retry(journal, context)
        }
        try await loop.run(open)
        await withTaskCancellationHandler {
            for await _ in ending {}
        } onCancel: {
            continuation.finish()
        }
        _ = try await loop.run {
            close()
            return connections.value.stopReading()
        }
        await journal.flush()
        try await loop.run { connections.value.closeAll() }
        journal.finish()
        retrying.cancel()
        try? await retrying.value
        try await delivering.value
    }

    /// Tries a failed disk again and again, with growing pauses.
    static func retry(_ journal: IngestJournal, _ context: SourceContext) async {
        while await journal.waitUntilBlocked() {
            var pause = Duration.milliseconds(50)
            while journal.trouble != nil {
                guard (try? await context.sleep(for: pause)) != nil else { return }
                pause = min(pause * 2, .seconds(5))
                journal.retry()
                await journal.flush()
            }
        }
    }

    private func runWithoutStore(
        open: @escaping @Sendable () -> Void, close: @escaping @Sendable () -> Void
    ) async throws {
        let connections = connections
        try await loop.run(open)
        await waitForCancellation()
        let rest = try await loop.run {
            close()
            return connections.value.stopReading()
        }
        let sent = await Result { try await sendRest(rest.batch, to: inlet) }
        try await loop.run {
            if case .success = sent { rest.acknowledge() }
            connections.value.closeAll()
        }
        try sent.get()
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
