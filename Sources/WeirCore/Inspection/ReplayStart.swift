import WeirJournal

/// Where a replay begins, and with which state.
struct ReplayStart {
    let reader: StoreReader
    let options: ReplayOptions
    /// The source that decides where the stretch begins and ends.
    let source: String
    /// All sources with an ingest journal.
    let sources: [String]
    let silentSources: [String]
    /// The directory of the checkpoint; nil for empty state.
    let checkpoint: String?
    /// Where the source goes on; nil for its first record.
    let position: SourcePosition?
    /// The first record that counts.
    let from: UInt64
    /// Whether there were records before the first one of which no state is known.
    let lacksState: Bool

    init(_ topology: Topology, _ reader: StoreReader, _ options: ReplayOptions) throws {
        self.reader = reader
        self.options = options
        let all = topology.plan.stages.filter { stage in
            if case .source = topology.plan.nodes[stage.head].role { return true }
            return false
        }
        let journaled = try all.filter { stage in
            guard case .source(let source) = topology.plan.nodes[stage.head].role,
                source.connectRecorded != nil
            else { return false }
            return try reader.directory.files.exists(
                reader.directory.ingestDirectory(of: stage.name))
        }.map(\.name)
        sources = journaled
        silentSources = all.map(\.name).filter { !journaled.contains($0) }
        source = try Self.choose(options.source, all.map(\.name), journaled, reader)
        let feed = try JournalFeed(reader, source: source, input: RecordedInput())
        let wanted = try Self.first(options.from, feed)
        let first = feed.firstPosition
        if let wanted, wanted < first {
            throw ReplayError(
                "the journal of '\(source)' begins with record \(first), not \(wanted)")
        }
        let candidates = try Self.candidates(reader, source)
        let usable = candidates.filter { ($0.position?.offset ?? 0) >= Int64(first) }
        let chosen: (directory: String, position: SourcePosition?)?
        switch options.start {
        case .empty: chosen = nil
        case .checkpoint(let number):
            chosen = try Self.named(
                reader.snapshot(checkpoint: number, savepoint: nil), candidates, first)
        case .savepoint(let name):
            chosen = try Self.named(
                reader.snapshot(checkpoint: nil, savepoint: name), candidates, first)
        case .automatic:
            if let wanted {
                chosen = usable.last { Self.isAtOrBefore($0.position, wanted) }
            } else {
                chosen = first == 0 ? nil : usable.first
            }
        }
        checkpoint = chosen?.directory
        if let chosen {
            position = chosen.position
            let offset = UInt64(max(0, chosen.position?.offset ?? 0))
            from = max(wanted ?? offset, offset)
            lacksState = false
        } else if case .empty = options.start {
            position = wanted.map { SourcePosition(offset: Int64($0)) }
            from = wanted ?? first
            lacksState = false
        } else {
            // With all of the past there, its state comes from replaying it.
            position =
                first == 0 ? nil : SourcePosition(offset: Int64(wanted ?? first))
            from = wanted ?? first
            lacksState = first > 0
        }
    }

    private static func choose(
        _ name: String?, _ all: [String], _ journaled: [String], _ reader: StoreReader
    ) throws -> String {
        let has =
            journaled.isEmpty
            ? "no source of the topology has an ingest journal in '\(reader.directory.path)'"
            : "those with an ingest journal are \(journaled.joined(separator: ", "))"
        guard let name else {
            guard journaled.count == 1, let only = journaled.first else {
                throw ReplayError(
                    journaled.isEmpty ? has : "name the source: \(has)")
            }
            return only
        }
        if journaled.contains(name) { return name }
        throw ReplayError(
            all.contains(name)
                ? "the source '\(name)' has no ingest journal: \(has)"
                : "the topology has no source '\(name)': \(has)")
    }

    private static func first(
        _ point: ReplayOptions.Point?, _ feed: JournalFeed
    ) throws -> UInt64? {
        switch point {
        case nil: return nil
        case .record(let number): return UInt64(max(0, number))
        case .time(let time): return try feed.position(at: time)
        case .event:
            throw ReplayError("a replay begins at a record or a time, not at an event")
        }
    }

    /// The usable checkpoints and savepoints, by where they have the source.
    private static func candidates(
        _ reader: StoreReader, _ source: String
    ) throws -> [(directory: String, position: SourcePosition?)] {
        var found: [(directory: String, position: SourcePosition?)] = []
        var paths: [String] = []
        for number in try reader.directory.completeCheckpoints() {
            paths.append(reader.directory.directory(of: number))
        }
        for name in try reader.directory.savepointNames() {
            paths.append(reader.directory.directory(ofSavepoint: name))
        }
        for path in paths {
            // A run may remove one meanwhile; a damaged one is found when it is chosen by name.
            guard let manifest = try? reader.directory.manifest(in: path) else { continue }
            found.append((path, manifest.parts.first { $0.stage == source }?.position))
        }
        return found.sorted { order($0.position) < order($1.position) }
    }

    private static func order(_ position: SourcePosition?) -> (Int64, UInt64) {
        (position?.offset ?? 0, position?.identity ?? 0)
    }

    private static func isAtOrBefore(_ position: SourcePosition?, _ record: UInt64) -> Bool {
        order(position) <= (Int64(record), 0)
    }

    private static func named(
        _ directory: String,
        _ candidates: [(directory: String, position: SourcePosition?)], _ first: UInt64
    ) throws -> (directory: String, position: SourcePosition?) {
        let position = candidates.first { $0.directory == directory }?.position
        guard (position?.offset ?? 0) >= Int64(first) else {
            throw ReplayError(
                "'\(directory)' goes on with record \(position?.offset ?? 0), but the journal begins "
                    + "with \(first)")
        }
        return (directory, position)
    }
}
