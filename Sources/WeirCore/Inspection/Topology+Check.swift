import Logging
import WeirBinary
import WeirJournal

extension Topology {
    /// Tells whether a run on a store would go on from the checkpoint that it begins with: before
    /// a deployment, without running anything.
    ///
    /// Validates the topology, builds its stages and decodes all of the checkpoint's state. Opens no
    /// socket, takes no lock, writes nothing (a state backend has its own directory); a run may have the store open meanwhile. `weir check`
    /// does this with a service's own binary.
    ///
    /// - Parameters:
    ///   - store: The store; its `start` says which checkpoint.
    ///   - configuration: As the run has it: its parallelism counts.
    /// - Returns: What is wrong; ``CheckReport/loads`` if nothing is.
    /// - Throws: ``StoreError`` when there is no such checkpoint, or its files are damaged.
    /// - Complexity: O(size of the checkpoint), in time and, without a state backend, in memory.
    public func check(
        _ store: StateStore, configuration: RunConfiguration = RunConfiguration()
    ) async throws -> CheckReport {
        let reader: StoreReader
        let path: String
        do {
            reader = try StoreReader(
                path: store.path, files: store.fileSystem, cipher: store.cipher)
            path = try reader.snapshot(of: store.start)
        } catch let error as MissingFromStore {
            throw StoreError(store: store.path, reason: error.description)
        }
        let restored = try RestoredRun(reader.directory, from: path)
        return await check(restored, reader, store, configuration)
    }

    private func check(
        _ restored: RestoredRun, _ reader: StoreReader, _ store: StateStore,
        _ configuration: RunConfiguration
    ) async -> CheckReport {
        let manifest = restored.manifest
        var report = CheckReport(
            topology: name, store: store.path, checkpoint: manifest.checkpoint,
            savepoint: manifest.savepoint, takenAt: EventTime(nanoseconds: manifest.takenAt))
        do throws(TopologyError) {
            try validate()
        } catch {
            report.problems += error.problems.map { .init(message: "\($0)") }
            return report
        }
        if manifest.topology != name {
            report.problems.append(
                .init(
                    message: "the store belongs to the topology '\(manifest.topology)', not to "
                        + "'\(name)'"))
            return report
        }
        let running = RunningTopology(
            topology: self, configuration: configuration.forInspection)
        await running.check(restored, dropsUnknown: store.dropsUnknownState, &report)
        report.problems += running.misplacedSources(restored, reader)
        // The end of a run that never was: what refers to each other in a circle lets go.
        running.closeMailboxes()
        running.supervisors.forgetChildren()
        return report
    }
}

extension RunConfiguration {
    /// The same without anything that is kept or told.
    var forInspection: RunConfiguration {
        var changed = self
        changed.store = nil
        changed.metricsInterval = .zero
        return changed
    }
}

extension RunningTopology {
    /// Builds the stages and takes in a checkpoint's state, noting all that is wrong.
    fileprivate func check(
        _ restored: RestoredRun, dropsUnknown: Bool, _ report: inout CheckReport
    ) async {
        for instance in instances.joined() {
            do {
                try await instance.prepare()
            } catch {
                report.problems.append(
                    .init(
                        stage: instance.name,
                        message: "the stage '\(instance.name)' can't be built: \(error)"))
                return
            }
        }
        for instance in instances.compactMap(\.first) {
            for obstacle in await instance.obstacles {
                report.problems.append(
                    .init(
                        stage: instance.name,
                        message: "the state of stage '\(instance.name)' can't be kept in a store: "
                            + "\(obstacle); make the type Codable"))
            }
        }
        let stages = Set(restored.manifest.parts.map(\.stage))
        for text in await restored.problems(with: instances, dropsUnknown: dropsUnknown) {
            let stage = stages.first { text.contains("stage '\($0)'") }
            report.problems.append(.init(stage: stage, message: text))
        }
        for instance in instances.joined() {
            report.problems += await instance.unreadable(in: restored)
        }
        for instance in instances.compactMap(\.first) {
            let states = await instance.describedStates
            let parts = restored.parts(of: instance.name)
            if states.isEmpty && !parts.contains(where: { !$0.states.isEmpty }) { continue }
            report.stages.append(
                .init(
                    name: instance.name,
                    entries: parts.reduce(0) { $0 + $1.states.reduce(0) { $0 + $1.entries } },
                    isNew: parts.isEmpty))
        }
    }

    /// The sources whose ingest journal lacks what the checkpoint goes on with.
    fileprivate func misplacedSources(
        _ restored: RestoredRun, _ reader: StoreReader
    ) -> [CheckReport.Problem] {
        pumps.compactMap { pump in
            guard let position = restored.parts(of: pump.name).first?.position else { return nil }
            let directory = reader.directory.ingestDirectory(of: pump.name)
            guard (try? reader.directory.files.exists(directory)) == true else { return nil }
            do {
                let journal = try JournalScanner(
                    directory: directory, fileSystem: reader.directory.files)
                let offset = UInt64(max(0, position.offset))
                if journal.segments.isEmpty || offset >= journal.firstPosition { return nil }
                return .init(
                    stage: pump.name,
                    message:
                        "the source '\(pump.name)' goes on with record \(offset), but its ingest "
                        + "journal begins with \(journal.firstPosition): use a newer checkpoint")
            } catch {
                return .init(
                    stage: pump.name,
                    message: "the ingest journal of '\(pump.name)' can't be read: \(error)")
            }
        }
    }
}

extension StageActor {
    /// Takes in the state that a checkpoint has for this instance; returns what can't be read.
    fileprivate func unreadable(in run: RestoredRun) -> [CheckReport.Problem] {
        var problems: [CheckReport.Problem] = []
        do {
            try restoreStates(run) { id, state, error in
                // One is enough of what is the same in every key group.
                if problems.contains(where: { $0.state == id }) { return }
                let path = (error as? BinaryCodingError)?.codingPath.joined(separator: ".")
                problems.append(
                    .init(
                        stage: name, state: id, type: state.contents, path: path,
                        message: "the state '\(id)' of stage '\(name)' (\(state.contents)) "
                            + "can't be read: \(error)"))
            }
        } catch {
            problems.append(
                .init(stage: name, message: "the state of stage '\(name)' can't be read: \(error)"))
        }
        return problems
    }
}

extension StoreReader {
    /// The directory of the checkpoint that a run would begin with.
    func snapshot(of start: StateStore.Start) throws -> String {
        switch start.kind {
        case .latest, .empty: try snapshot(checkpoint: nil, savepoint: nil)
        case .checkpoint(let number): try snapshot(checkpoint: number, savepoint: nil)
        case .savepoint(let name): try snapshot(checkpoint: nil, savepoint: name)
        }
    }
}
