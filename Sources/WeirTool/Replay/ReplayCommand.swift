import ArgumentParser
import Foundation
import WeirCore
import WeirJSON

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Replays a stretch of what a store's sockets took in through a service's code.",
        discussion: """
            Runs the service's own binary with WEIR_REPLAY set: its sources get what the ingest \
            journals have, its sinks print a line of JSON for each event instead of writing it, and \
            time is virtual. It begins with the state of the checkpoint at or before the first \
            record. Reads only; a run may have the store open. The exit status is 0, with --compare \
            1 when something differs, 64 for wrong arguments, 65 when the topology can't replay it, \
            66 when there is no such store or checkpoint, 70 when the service starts no topology or \
            dies, 127 when it can't be started.
            """)

    @Argument(help: "The directory of the store.")
    var store: String

    @Option(help: "The source; may be left out when only one has an ingest journal.")
    var source: String?

    @Option(help: "Begin at a record's number or at a time (RFC 3339).")
    var from: ReplayPoint?

    @Option(help: "End before a record's number or a time, or behind N events: 'event N'.")
    var to: ReplayPoint?

    @Option(help: "The checkpoint to begin with. Default: the newest before --from.")
    var checkpoint: Int?

    @Option(help: "The savepoint to begin with.")
    var savepoint: String?

    @Flag(help: "Begin with empty state.")
    var empty = false

    @Option(help: "max, or how many times as fast as it happened: 1x, 10x.")
    var speed = ReplaySpeed.max

    @Flag(help: "End the streams behind the last record, so that windows fire.")
    var end = false

    @Option(help: "Print only what differs from this file of events, one JSON document a line.")
    var compare: String?

    @Option(help: "Print or compare only what this sink gets.")
    var sink: String?

    @Flag(help: "Show the state before and after each event.")
    var step = false

    @Option(help: "With --step: only events and state of this key.")
    var key: String?

    @Flag(help: "With --step: print JSON.")
    var json = false

    @Argument(parsing: .postTerminator, help: "-- and the service with its arguments.")
    var command: [String] = []

    func validate() throws {
        if command.isEmpty {
            throw ValidationError(
                "the service is missing: weir replay STORE -- ./service arguments")
        }
        if [checkpoint != nil, savepoint != nil, empty].count(where: { $0 }) > 1 {
            throw ValidationError("give one of --checkpoint, --savepoint and --empty")
        }
        if case .event = from {
            throw ValidationError("--from takes a record's number or a time")
        }
        if key != nil && !step { throw ValidationError("--key goes with --step") }
        if compare != nil && step { throw ValidationError("give either --compare or --step") }
    }

    func run() throws {
        let isEqual = try ToolOutput.reporting("replay") {
            _ = try StoreReader(path: store)
            let value = String(
                decoding: try JSONEventEncoder().encode(request), as: UTF8.self)
            let service = ServiceProcess(
                command: command, variable: InspectionRequest.replayVariable, value: value,
                marker: InspectionRequest.replayMarker)
            guard let compare else {
                try finish(service, try service.run(show))
                return true
            }
            return try self.compare(service, with: compare)
        }
        if !isEqual { throw ExitCode(1) }
    }

    private var request: ReplayRequest {
        var request = ReplayRequest(store: store)
        request.source = source
        switch from {
        case .record(let number): request.fromRecord = number
        case .time(let time): request.fromTime = time
        case .event, nil: break
        }
        switch to {
        case .record(let number): request.toRecord = number
        case .time(let time): request.toTime = time
        case .event(let count): request.toEvent = count
        case nil: break
        }
        request.checkpoint = checkpoint
        request.savepoint = savepoint
        if empty { request.isEmpty = true }
        request.speed = speed.factor
        if end { request.endsStreams = true }
        if step { request.steps = true }
        request.key = key
        return request
    }

    // MARK: Output

    private static let eventPrefix = "{\"sink\":"
    private static let stepPrefix = "{\"step\":"

    /// Prints a line of the replay; the service's own go to standard error.
    private func show(_ line: String) {
        if line.hasPrefix(Self.eventPrefix) {
            if let sink, !line.hasPrefix("\(Self.eventPrefix)\(EventText.quoted(sink)),") { return }
            print(line)
        } else if line.hasPrefix(Self.stepPrefix) {
            print(json ? line : Self.text(ofStep: line))
        } else {
            return ToolOutput.note(line)
        }
        // Paced output is to be seen as it comes.
        if step || speed.factor != nil { fflush(nil) }
    }

    private struct StepLine: Decodable {
        var step: ReplayStep
    }

    private static func text(ofStep line: String) -> String {
        guard let step = try? JSONDecoder().decode(StepLine.self, from: Data(line.utf8)).step else {
            return line
        }
        var lines = [
            "\(step.source) \(step.record)+\(step.message) \(step.time) "
                + (step.event ?? "(can't be decoded)")
        ]
        for change in step.changes {
            let name = [change.stage, change.state, change.key ?? ""].filter { !$0.isEmpty }
            lines.append("  \(name.joined(separator: " "))")
            if change.before == change.after {
                lines.append("    = \(change.after ?? "none")")
            } else {
                lines.append("    - \(change.before ?? "none")")
                lines.append("    + \(change.after ?? "none")")
            }
        }
        return lines.joined(separator: "\n")
    }

    private func finish(_ service: ServiceProcess, _ answer: ServiceProcess.Answer) throws {
        let report = try service.decode(ReplayReport.self, from: answer)
        let beginning = report.checkpoint.map { "the state of checkpoint \($0)" } ?? "empty state"
        var text =
            "replayed records \(report.from) to \(report.to) of '\(report.source)' from \(beginning): "
            + "\(report.events) events in, \(report.emitted) out"
        if report.warmUpRecords > 0 {
            text += ", after \(report.warmUpRecords) records for the state alone"
        }
        if report.deadLetters > 0 { text += ", \(report.deadLetters) dead letters" }
        ToolOutput.note(text)
        if report.lacksState {
            ToolOutput.note(
                "no checkpoint is that old: what came before record \(report.from) is missing in the "
                    + "state")
        }
        if !report.silentSources.isEmpty {
            ToolOutput.note(
                "without an ingest journal, and silent: \(report.silentSources.joined(separator: ", "))"
            )
        }
    }

    /// Returns whether both runs have the same events.
    private func compare(_ service: ServiceProcess, with file: String) throws -> Bool {
        var then = EmittedEvents()
        guard let data = FileManager.default.contents(atPath: file) else {
            throw ToolFailure(status: 66, "'\(file)' can't be read")
        }
        var buffer = LineBuffer()
        var number = 0
        // A last line without an end counts too.
        try buffer.add(data + [0x0A]) { line in
            number += 1
            if line.isEmpty { return }
            try then.add(line, sink: sink, where: "line \(number) of '\(file)'")
        }
        var now = EmittedEvents()
        let answer = try service.run { line in
            guard line.hasPrefix(Self.eventPrefix) else { return ToolOutput.note(line) }
            try now.add(line, sink: sink, where: "a line of the replay")
        }
        try finish(service, answer)
        let (gone, added) = (then.lines(beyond: now), now.lines(beyond: then))
        for line in gone { print("- \(line)") }
        for line in added { print("+ \(line)") }
        ToolOutput.note(
            "\(then.count) events then, \(now.count) now: \(gone.count) only then, \(added.count) "
                + "only now")
        return gone.isEmpty && added.isEmpty
    }
}
