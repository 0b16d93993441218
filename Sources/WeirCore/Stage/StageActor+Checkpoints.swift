import DequeModule
import Logging
import Synchronization
import WeirBinary

/// What a stage has yet to contribute to the checkpoint under way.
struct OngoingCapture {
    let barrier: Barrier
    let writer: PartWriter
    var part: Manifest.Part
    /// The state that is being captured.
    var index = 0
}

// Checkpoints: barriers, alignment, capture and restore of state.
extension StageActor {
    /// Asks a source's stage to take a checkpoint at its next turn; other stages wait for the
    /// barrier to come by their inputs.
    nonisolated func requestBarrier(_ barrier: Barrier) {
        guard isSource else {
            if isAligned.load(ordering: .relaxed) { mailbox.wake() }
            return
        }
        control.requestedBarrier.withLock { $0 = barrier }
        mailbox.wake()
    }

    /// A checkpoint is durable: sinks may make final what they had prepared for it.
    nonisolated func checkpointCompleted(_ checkpoint: Int) {
        guard hasWriters.load(ordering: .relaxed) else { return }
        control.completedCheckpoint.store(checkpoint, ordering: .releasing)
        mailbox.wake()
    }

    /// Handles a barrier that came by a channel; true when the stage is to go on with what was held
    /// back.
    func receive(_ barrier: Barrier, on channel: Int) async throws -> Bool {
        if let probe = barrier.probe {
            scope.loops.note(probe, on: channel)
            try await passProbes()
            return false
        }
        guard let current = aligning, current.checkpoint != barrier.checkpoint else {
            return try await align(barrier, on: channel)
        }
        // The older one was given up before all sources had sent its barrier: it won't come by all
        // inputs, and what waits behind it belongs before the newer one.
        if barrier.checkpoint < current.checkpoint { return false }
        aligning = nil
        channels.releaseBarrier()
        mailbox.releaseHeld()
        _ = try await align(barrier, on: channel)
        return true
    }

    private func align(_ barrier: Barrier, on channel: Int) async throws -> Bool {
        let isFirst = !channels.isAligning
        let isAligned = channels.receivedBarrier(on: channel)
        if isFirst { alignmentStarted = environment.clock.monotonicNanoseconds() }
        aligning = barrier
        if isAligned { return try await aligned() }
        mailbox.hold(channel: channel)
        return false
    }

    /// All inputs have reached the barrier.
    func aligned() async throws -> Bool {
        guard let barrier = aligning else { return false }
        aligning = nil
        channels.releaseBarrier()
        metrics.alignmentNanoseconds.store(
            environment.clock.monotonicNanoseconds() - alignmentStarted, ordering: .relaxed)
        try await checkpoint(barrier)
        mailbox.releaseHeld()
        return true
    }

    /// Takes this stage's part in a checkpoint, at a point where nothing is half done.
    func checkpoint(_ barrier: Barrier) async throws {
        try await commitSinks()
        try await work { try self.scope.barrierReached(barrier) }
        while scope.blocksCheckpoint { try await waitForAsyncWork() }
        if !scope.writers.isEmpty { try await writePending() }
        let part = makePart(hasEnded: false)
        let service = environment.checkpoints
        let mailbox = mailbox
        if let writer = service?.makeWriter(
            part, checkpoint: barrier.checkpoint, wake: { mailbox.wake() })
        {
            do {
                for (index, sink) in scope.writers.enumerated() {
                    guard let state = try await sink.prepare(checkpoint: barrier.checkpoint) else {
                        continue
                    }
                    writer.add(
                        id: "sink/\(index)", CapturedPortion(entries: 1, encode: { state }))
                }
                for (_, state) in scope.states { try state.beginCapture() }
                capture = OngoingCapture(barrier: barrier, writer: writer, part: part)
            } catch let error as StageStopped {
                throw error
            } catch {
                service?.partFailed(error, checkpoint: barrier.checkpoint)
            }
        }
        for port in scope.ports { port.emit(barrier) }
        try await flush()
        continueCapture()
        if barrier.suspends {
            await finishCapture()
            isSuspended = true
        }
    }

    /// Captures more of the state for at most a fraction of a millisecond.
    func continueCapture() {
        guard var capture else { return }
        let start = environment.clock.monotonicNanoseconds()
        while capture.index < scope.states.count {
            if capture.writer.isFull {
                self.capture = capture
                return
            }
            let (id, state) = scope.states[capture.index]
            if let portion = state.captureNext() {
                capture.part.states[capture.index].entries += portion.entries
                capture.writer.add(id: id, portion)
                if environment.clock.monotonicNanoseconds() - start > Self.longestCapture {
                    self.capture = capture
                    return
                }
            } else {
                capture.index += 1
            }
        }
        capture.writer.finish(capture.part)
        self.capture = nil
    }

    func finishCapture() async {
        while capture != nil {
            continueCapture()
            if capture == nil { return }
            var none = Deque<Delivery>()
            if case .closed = await mailbox.next(into: &none, holding: true) { return }
        }
    }

    /// How long a stage captures before it looks for events again: 200 µs, and the time for one key
    /// group.
    private static let longestCapture: Int64 = 200_000

    func makePart(hasEnded: Bool) -> Manifest.Part {
        Manifest.Part(
            stage: name, instance: instance, parallelism: scope.parallelism,
            file: Self.fileName(stage: name, instance: instance),
            watermark: scope.watermark.nanoseconds,
            inputs: inputOfChannel.count > 1 ? inputWatermarks : nil, random: scope.random.state,
            hasEnded: hasEnded, position: sourcePosition,
            states: scope.states.map { id, state in
                Manifest.State(
                    id: id, contents: state.contents, isKeyed: state.isKeyed, entries: 0,
                    version: state.version)
            })
    }

    /// Of each input, the watermarks of its channels.
    private var inputWatermarks: [[Int64]] {
        var inputs = [[Int64]](repeating: [], count: (inputOfChannel.max() ?? 0) + 1)
        for (input, channel) in zip(inputOfChannel, channels.states) {
            inputs[input].append(channel.watermark.nanoseconds)
        }
        return inputs
    }

    /// The watermark with which each channel begins: its own if the channels are the same ones, else
    /// the lowest of the same input.
    private func channelWatermarks(
        _ parts: [Manifest.Part], merged: EventTime
    ) -> [EventTime] {
        let own = parts.first { $0.instance == instance && $0.parallelism == scope.parallelism }
        var taken: [Int: Int] = [:]
        return inputOfChannel.map { input in
            let index = taken[input, default: 0]
            taken[input] = index + 1
            let counts = inputOfChannel.reduce(0) { $0 + ($1 == input ? 1 : 0) }
            let stored = parts.compactMap { part in
                part.inputs.flatMap { input < $0.count ? $0[input] : nil }
            }
            var time = stored.joined().filter { $0 < EventTime.max.nanoseconds }.min()
            if let inputs = own?.inputs, input < inputs.count, inputs[input].count == counts {
                time = inputs[input][index]
            }
            // What had ended is told to have ended once more.
            guard let time, time < EventTime.max.nanoseconds else { return merged }
            return EventTime(nanoseconds: time)
        }
    }

    /// A name that is safe in every file system and different for different stages.
    static func fileName(stage: String, instance: Int) -> String {
        var name = ""
        for byte in stage.utf8 {
            let isPlain =
                byte.isASCIIAlphanumeric || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            name += isPlain ? String(UnicodeScalar(byte)) : "%\(String(byte, radix: 16))"
        }
        return "\(name).\(instance).part"
    }

    /// Gives the service what is left of this stage when its streams have ended, and waits until
    /// sinks may make it final.
    func leaveToCheckpoints() async throws {
        guard let service = environment.checkpoints else { return }
        if isSuspended {
            // The last checkpoint is complete only once all stages have contributed.
            guard scope.writers.contains(where: { $0.isTransactional }) else { return }
            if await service.waitForFinal() { try await commitSinks() }
            return
        }
        // The part of a checkpoint under way is written first.
        await finishCapture()
        var part = makePart(hasEnded: true)
        var bytes: [UInt8] = []
        for (index, sink) in scope.writers.enumerated() {
            guard let state = try await sink.prepare(checkpoint: .max) else { continue }
            PartSection(id: "sink/\(index)", group: -1, bytes: state).append(to: &bytes)
            part.sections += 1
        }
        for index in scope.states.indices {
            let (id, state) = scope.states[index]
            try state.beginCapture()
            while let portion = state.captureNext() {
                let isChanged = try portion.encode { group, section in
                    PartSection(id: id, group: group, bytes: section).append(to: &bytes)
                    part.sections += 1
                }
                if isChanged { part.states[index].entries += portion.entries }
            }
        }
        part.bytes = bytes.count
        service.stageEnded(part, bytes: bytes)
        guard scope.writers.contains(where: { $0.isTransactional }) else { return }
        guard await service.waitForFinal() else { return }
        for writer in scope.writers {
            try await retrying { try await writer.commit(checkpoint: .max) }
        }
    }

    /// Makes final what sinks have prepared for the newest complete checkpoint.
    func commitSinks() async throws {
        let checkpoint = control.completedCheckpoint.load(ordering: .acquiring)
        guard checkpoint > committedCheckpoint else { return }
        for writer in scope.writers {
            try await retrying { try await writer.commit(checkpoint: checkpoint) }
        }
        committedCheckpoint = checkpoint
    }

    // MARK: Restoring

    /// Brings the operators to where a checkpoint has them.
    func restore(_ run: RestoredRun) throws {
        let parts = run.parts(of: name)
        if parts.isEmpty { return }
        if !scope.writers.isEmpty {
            let isOurs = { [instance] (from: Int, id: String, _: Int) -> Bool in
                from == instance && id.hasPrefix("sink/")
            }
            try run.forEachSection(of: name, where: isOurs) { _, section in
                guard let index = Int(section.id.dropFirst(5)), index < scope.writers.count else {
                    return
                }
                scope.writers[index].restore(section.bytes)
            }
        }
        try restoreStates(run) { id, state, error in
            throw StoreError(
                store: environment.checkpoints?.store.path ?? "",
                reason: "the state '\(id)' of stage '\(name)' (\(state.contents)) can't "
                    + "be read from checkpoint \(run.manifest.checkpoint): \(error)")
        }
        let watermark = EventTime(
            nanoseconds: parts.map(\.watermark).min() ?? EventTime.min.nanoseconds)
        // What had ended is told to have ended once more.
        if watermark < .max {
            scope.watermark = watermark
            channels.restore(
                watermark: watermark, channels: channelWatermarks(parts, merged: watermark))
        }
        if let own = parts.first(where: { $0.instance == instance }) {
            scope.random = SplitMix64(seed: own.random)
            sourcePosition = own.position
            hadEnded = own.hasEnded
        }
    }

    /// Gives each of the operators' states what this instance owns of it.
    ///
    /// - Parameter refuse: Called with what a state can't take in.
    /// - Throws: What `refuse` throws, and what reading the checkpoint's files does.
    func restoreStates(
        _ run: RestoredRun,
        refuse: (_ id: String, _ state: any CheckpointedState, _ error: any Error) throws -> Void
    ) throws {
        let parts = run.parts(of: name)
        let isRescaled = parts.contains { $0.parallelism != scope.parallelism }
        let states = Dictionary(uniqueKeysWithValues: scope.states.map { ($0.id, $0.state) })
        let groups = KeyGroup.groups(ofInstance: instance, parallelism: scope.parallelism)
        var versions: [String: Int] = [:]
        for state in parts.flatMap(\.states) { versions[state.id] = state.version }
        let isOurs = { [instance] (from: Int, id: String, group: Int) -> Bool in
            guard let state = states[id] else { return false }
            if group >= 0 { return groups.contains(group) }
            return state.isKeyed || (isRescaled ? instance == 0 && from == 0 : from == instance)
        }
        try run.forEachSection(of: name, where: isOurs) { _, section in
            guard let state = states[section.id] else { return }
            do {
                var portion = RestoredPortion(
                    group: section.group, version: versions[section.id] ?? 1,
                    reader: try BinaryReader(section.bytes))
                try state.restore(&portion) { groups.contains($0) }
            } catch {
                try refuse(section.id, state, error)
            }
        }
        for (_, state) in scope.states { state.finishRestore() }
        try scope.backend?.check()
    }
}

extension RestoredRun {
    /// What of the checkpoint the topology has no place for, and what it can't serve.
    func problems(with instances: [[StageActor]], dropsUnknown: Bool) async -> [String] {
        var problems: [String] = []
        var known: [String: (states: [Manifest.State], parallelism: Int)] = [:]
        for instance in instances.compactMap(\.first) {
            known[instance.name] = await (instance.describedStates, instance.parallelism)
        }
        for part in manifest.parts where part.instance == 0 {
            let stored = manifest.parts.filter { $0.stage == part.stage }
            let hasState = stored.contains { part in part.states.contains { $0.entries > 0 } }
            guard let stage = known[part.stage] else {
                if hasState || part.position != nil, !dropsUnknown {
                    problems.append(
                        "the stage '\(part.stage)' has state in it and isn't in the topology any "
                            + "more: give the stage its name back, or pass dropsUnknownState: true")
                }
                continue
            }
            for state in part.states {
                guard let now = stage.states.first(where: { $0.id == state.id }) else {
                    if !dropsUnknown,
                        stored.contains(where: {
                            $0.states.contains { $0.id == state.id && $0.entries > 0 }
                        })
                    {
                        problems.append(
                            "the stage '\(part.stage)' has no place for its state '\(state.id)' "
                                + "(\(state.contents)) any more: keep the operator, or pass "
                                + "dropsUnknownState: true")
                    }
                    continue
                }
                if let version = state.version, version > now.version ?? 1 {
                    problems.append(
                        "the state '\(state.id)' of stage '\(part.stage)' (\(state.contents)) has "
                            + "version \(version) and the code \(now.version ?? 1): run code that "
                            + "knows version \(version), or begin with an older checkpoint")
                } else if dropsUnknown {
                    continue
                } else if now.isKeyed != state.isKeyed {
                    problems.append(
                        "the state '\(state.id)' of stage '\(part.stage)' was \(state.contents) and "
                            + "is \(now.contents)")
                } else if !state.isKeyed, part.parallelism != stage.parallelism,
                    max(part.parallelism, stage.parallelism) > 1,
                    stored.contains(where: { part in
                        part.states.contains { $0.id == state.id && $0.entries > 0 }
                    })
                {
                    problems.append(
                        "the state '\(state.id)' of stage '\(part.stage)' (\(state.contents)) isn't "
                            + "kept by key and isn't what it is in a new run, so it can't go from \(part.parallelism) to "
                            + "\(stage.parallelism) instances: keep the parallelism")
                }
            }
        }
        return problems
    }
}
