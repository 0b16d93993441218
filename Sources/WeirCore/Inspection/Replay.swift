import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#endif

/// A replay under way; of one thread.
final class Replay {
    private let start: ReplayStart
    private let running: RunningTopology
    private let feeds: [JournalFeed]
    private let main: JournalFeed
    private let executor: ReplayExecutor
    private let clock: VirtualClock
    private let watch: StateWatch?
    private let step: @Sendable (ReplayStep) -> Void
    private let output: Output
    private let ending: Ending
    private let hasAsyncWork: Bool
    private var report: ReplayReport
    /// Events of the deciding source that counted.
    private var ownEvents = 0
    private var pacing: (time: EventTime, real: Int64)?

    /// What leaves the topology; quiet until the stretch begins.
    private final class Output: Sendable {
        let isOn = Atomic<Bool>(false)
        let count = Atomic<Int>(0)
        let decoded = Mutex<[String]>([])
        private let emit: @Sendable (ReplayedEvent) -> Void

        init(_ emit: @escaping @Sendable (ReplayedEvent) -> Void) {
            self.emit = emit
        }

        func take(_ sink: String, _ batch: any AnyBatch) {
            guard isOn.load(ordering: .relaxed) else { return }
            count.add(batch.count, ordering: .relaxed)
            for index in 0..<batch.count {
                emit(ReplayedEvent(sink: sink, event: batch.event(at: index)))
            }
        }
    }

    /// How the run has ended, once it has.
    private final class Ending: Sendable {
        let result = Mutex<Result<Void, any Error>?>(nil)
    }

    init(
        _ topology: Topology, from start: ReplayStart, _ store: StateStore,
        configuration: RunConfiguration, step: @escaping @Sendable (ReplayStep) -> Void,
        emit: @escaping @Sendable (ReplayedEvent) -> Void
    ) throws {
        self.start = start
        self.step = step
        let restored = try start.checkpoint.map {
            try RestoredRun(start.reader.directory, from: $0)
        }
        if let manifest = restored?.manifest, manifest.topology != topology.name {
            throw ReplayError(
                "the store belongs to the topology '\(manifest.topology)', not to "
                    + "'\(topology.name)'")
        }
        let output = Output(emit)
        var note: (@Sendable (any Sendable) -> Void)?
        if start.options.steps {
            note = { event in output.decoded.withLock { $0.append(EventText.json(event)) } }
        }
        var feeds: [JournalFeed] = []
        for source in start.sources {
            let feed = try JournalFeed(
                start.reader, source: source, input: RecordedInput(note: note))
            let position =
                source == start.source
                ? start.position : restored?.parts(of: source).first?.position
            feed.begin(at: position)
            feeds.append(feed)
        }
        guard let main = feeds.first(where: { $0.source == start.source }) else {
            throw ReplayError("the source '\(start.source)' has no ingest journal")
        }
        self.feeds = feeds
        self.main = main
        self.output = output
        var beginning = try feeds.compactMap { try $0.peek()?.time }.min() ?? EventTime()
        if let takenAt = restored?.manifest.takenAt, beginning > EventTime(nanoseconds: takenAt) {
            beginning = EventTime(nanoseconds: takenAt)
        }
        executor = ReplayExecutor()
        clock = VirtualClock(startingAt: beginning)
        var configuration = configuration.forInspection
        configuration.clock = clock
        configuration.executor = executor
        let inputs = Dictionary(
            feeds.map { ($0.source, $0.input) }, uniquingKeysWith: { first, _ in first })
        configuration.substitutes = Substitutes { source, mailbox, context in
            guard let input = inputs[context.stage], let connect = source.connectRecorded else {
                return Substitutes.silentSource
            }
            return connect(mailbox, context, input)
        } sink: {
            output.take($0, $1)
        }
        let running = RunningTopology(topology: topology, configuration: configuration)
        self.running = running
        let ending = Ending()
        self.ending = ending
        let dropsUnknown = store.dropsUnknownState
        hasAsyncWork = try executor.outcome {
            try await running.prepare(toGoOnFrom: restored, dropsUnknown: dropsUnknown)
        }
        watch =
            start.options.steps
            ? try StateWatch(running, key: start.options.key, on: executor) : nil
        report = ReplayReport(
            topology: topology.name, source: start.source,
            checkpoint: restored?.manifest.checkpoint, from: Int(start.from), to: Int(start.from))
        report.silentSources = start.silentSources
        report.lacksState = start.lacksState
        for (name, channel) in running.outlets {
            _ = Task(executorPreference: executor) {
                while let batch = try await channel.next() { output.take(name, batch) }
            }
        }
        running.begin()
        _ = Task(executorPreference: executor) {
            do {
                try await running.waitUntilFinished()
                ending.result.withLock { $0 = .success(()) }
            } catch {
                ending.result.withLock { $0 = .failure(error) }
            }
        }
    }

    // MARK: Going on

    func run() throws -> ReplayReport {
        rest()
        while !hasEnded, let (feed, record) = try next() {
            if isPastEnd(record, of: feed) { break }
            let counts = try main.peek()?.position ?? 0 >= start.from
            if counts && !output.isOn.load(ordering: .relaxed) {
                output.isOn.store(true, ordering: .relaxed)
                _ = try watch?.changes()
            }
            feed.take()
            pace(to: record.time, counts)
            while clock.performNext(upTo: record.time) { rest() }
            clock.move(to: record.time)
            try give(record, from: feed, counts)
        }
        try end()
        report.to = max(report.from, Int(main.position))
        report.emitted = output.count.load(ordering: .relaxed)
        report.deadLetters = running.deadLetters.total
        return report
    }

    private var hasEnded: Bool { ending.result.withLock { $0 != nil } }

    /// The earliest record of all sources, as long as the deciding one has any.
    private func next() throws -> (JournalFeed, JournalFeed.Record)? {
        guard let own = try main.peek() else { return nil }
        var earliest = (main, own)
        for feed in feeds where feed !== main {
            if let record = try feed.peek(), record.time < earliest.1.time {
                earliest = (feed, record)
            }
        }
        return earliest
    }

    private func isPastEnd(_ record: JournalFeed.Record, of feed: JournalFeed) -> Bool {
        switch start.options.to {
        case nil: false
        case .record(let number): feed === main && record.position >= UInt64(max(0, number))
        case .time(let time): feed === main && record.time >= time
        case .event(let count): ownEvents >= count
        }
    }

    private func give(
        _ record: JournalFeed.Record, from feed: JournalFeed, _ counts: Bool
    ) throws {
        var messages = record.messages
        if !counts {
            report.warmUpRecords += 1
            feed.give(messages, of: record)
            rest()
            return
        }
        if case .event(let limit) = start.options.to, feed === main {
            messages = messages.prefix(max(0, limit - ownEvents))
        }
        report.records += 1
        report.firstTime = report.firstTime ?? record.time
        report.lastTime = record.time
        report.events += messages.count
        if feed === main { ownEvents += messages.count }
        guard let watch else {
            feed.give(messages, of: record)
            return rest()
        }
        for message in messages {
            feed.give(message..<(message + 1), of: record)
            rest()
            try show(message, of: record, feed.source, watch)
        }
    }

    private func show(
        _ message: Int, of record: JournalFeed.Record, _ source: String, _ watch: StateWatch
    ) throws {
        let event = output.decoded.withLock { decoded in
            defer { decoded.removeAll() }
            return decoded.first
        }
        let changes = try watch.changes()
        if let key = start.options.key, !changes.contains(where: { $0.before != $0.after }),
            !(event.map { Self.mentions($0, key) } ?? false)
        {
            return
        }
        step(
            ReplayStep(
                source: source, record: Int(record.position), message: message, time: record.time,
                event: event, changes: changes))
    }

    /// Whether a key stands in an event's JSON as a value.
    private static func mentions(_ json: String, _ key: String) -> Bool {
        json == key || json.contains(EventText.quoted(key)) || json.contains(":\(key),")
            || json.contains(":\(key)}")
    }

    /// Waits until as much time has gone by as between the records.
    private func pace(to time: EventTime, _ counts: Bool) {
        guard let speed = start.options.speed, speed > 0, counts else { return }
        let now = SystemClock().monotonicNanoseconds()
        guard let pacing else {
            pacing = (time, now)
            return
        }
        let passed = Double(pacing.time.duration(to: time).nanosecondsClamped) / speed
        let due = pacing.real + Int64(min(max(passed, 0), 0x1p61))
        if due > now { Self.sleep(nanoseconds: due - now) }
    }

    private static func sleep(nanoseconds: Int64) {
        var left = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        var rest = timespec()
        while nanosleep(&left, &rest) != 0 && errno == EINTR { left = rest }
    }

    /// Lets everything happen that can happen without time going on.
    private func rest() {
        executor.runUntilIdle()
        guard hasAsyncWork else { return }
        // Calls to the outside come back in their own time.
        for _ in 0..<Self.longestWaitMilliseconds {
            if isQuiet { return }
            if !executor.runUntilIdle() { Self.sleep(nanoseconds: 1_000_000) }
        }
    }

    /// How long calls of an asynchronous handler are waited for before the replay goes on.
    private static let longestWaitMilliseconds = 5_000

    /// How much virtual time may go by from the last record until all has come to its end.
    private static let longestEnd = Duration.seconds(60)

    private var isQuiet: Bool {
        let running = running
        let isIdle = executor.perform {
            for instance in running.instances.joined() where await !instance.isAsyncIdle {
                return false
            }
            return true
        }
        return (try? isIdle?.get()) ?? false
    }

    // MARK: The end

    private func end() throws {
        if !hasEnded {
            if start.options.endsStreams {
                let running = running
                _ = Task(executorPreference: executor) { try await running.drain() }
            } else {
                // As a run is suspended: all that is under way is handled, and no window fires.
                let barrier = Barrier(
                    checkpoint: (report.checkpoint ?? 0) + 1, suspends: true)
                for pump in running.pumps { pump.suspend(with: barrier) }
            }
            rest()
        }
        // What waits for a restart or another attempt has its time.
        let last = clock.now().advanced(by: Self.longestEnd)
        while !hasEnded, clock.performNext(upTo: last) { rest() }
        if !hasEnded {
            running.cancel()
            rest()
        }
        if case .failure(let error) = ending.result.withLock({ $0 }) { throw error }
    }
}

extension ReplayExecutor {
    fileprivate func outcome<Value: Sendable>(
        _ action: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        guard let result = perform(action) else {
            throw ReplayError("a stage can't be built without waiting for something outside")
        }
        return try result.get()
    }
}

extension StageActor {
    fileprivate var isAsyncIdle: Bool { scope.asyncWork.allSatisfy(\.isIdle) }
    fileprivate var hasAsyncWork: Bool { !scope.asyncWork.isEmpty }
}

extension RunningTopology {
    /// Builds the stages and brings them to where a checkpoint has them.
    ///
    /// Returns whether any works asynchronously.
    fileprivate func prepare(
        toGoOnFrom restored: RestoredRun?, dropsUnknown: Bool
    ) async throws -> Bool {
        var hasAsyncWork = false
        for instance in instances.joined() {
            try await instance.prepare()
            hasAsyncWork = await instance.hasAsyncWork || hasAsyncWork
        }
        guard let restored else { return hasAsyncWork }
        let misfits = await restored.problems(with: instances, dropsUnknown: dropsUnknown)
        guard misfits.isEmpty else {
            throw ReplayError(
                "the topology can't go on from checkpoint \(restored.manifest.checkpoint): "
                    + misfits.joined(separator: "; "))
        }
        do {
            for instance in instances.joined() { try await instance.restore(restored) }
        } catch let error as StoreError {
            throw ReplayError(error.reason)
        }
        return hasAsyncWork
    }
}
