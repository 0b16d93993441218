import ArgumentParser
import Foundation
import WeirCore
import WeirJSON

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Shows what is in a store.",
        discussion: """
            Lists the checkpoints, savepoints and ingest journals of a store, or with --stage or \
            --key the values of a checkpoint's state. Reads only; a run may have the store open. \
            The exit status is 0 when all is well, 1 when something is damaged, 64 for wrong \
            arguments, 66 when there is no such store, checkpoint or stage.
            """)

    @Argument(help: "The directory of the store.")
    var store: String

    @Flag(help: "Print JSON: one object, or one on each line for values.")
    var json = false

    @Option(help: "The checkpoint whose state is shown. Default: the newest.")
    var checkpoint: Int?

    @Option(help: "The savepoint whose state is shown.")
    var savepoint: String?

    @Option(help: "The stage whose values are shown.")
    var stage: String?

    @Option(help: "The key whose values are shown, as text without quotation marks.")
    var key: String?

    @Option(help: "At most so many values or producers.")
    var limit = 100

    @Flag(help: "Read every byte and name what is damaged.")
    var verify = false

    func validate() throws {
        if checkpoint != nil && savepoint != nil {
            throw ValidationError("give either --checkpoint or --savepoint")
        }
        if limit < 0 { throw ValidationError("--limit is \(limit); it is 0 or more") }
        if verify && (stage != nil || key != nil) {
            throw ValidationError("--verify reads the whole store: leave out --stage and --key")
        }
    }

    func run() throws {
        let isSound = try ToolOutput.reporting("inspect") {
            let reader = try StoreReader(path: store)
            if stage != nil || key != nil {
                try showValues(reader)
                return true
            }
            return try showContents(reader)
        }
        if !isSound { throw ExitCode(1) }
    }

    /// Returns whether nothing is damaged.
    private func showContents(_ reader: StoreReader) throws -> Bool {
        var contents = try reader.contents(verifies: verify, producerLimit: limit)
        if checkpoint != nil || savepoint != nil {
            let path = try reader.snapshot(checkpoint: checkpoint, savepoint: savepoint)
            contents.checkpoints.removeAll { $0.directory != path }
            contents.savepoints.removeAll { $0.directory != path }
        }
        if json {
            print(try Self.line(contents))
        } else {
            print(InspectText(contents).text)
        }
        return contents.damage.isEmpty
    }

    private func showValues(_ reader: StoreReader) throws {
        let path = try reader.snapshot(checkpoint: checkpoint, savepoint: savepoint)
        let (entries, isComplete) = try reader.entries(
            in: path, StateSelection(stage: stage, key: key, limit: limit))
        for entry in entries { print(json ? Self.json(entry) : Self.text(entry)) }
        if !isComplete { ToolOutput.note("there are more: see --limit, now \(limit)") }
        if entries.isEmpty { ToolOutput.note("there are no such values") }
    }

    private static func text(_ entry: StateEntry) -> String {
        var text = "\(entry.stage) \(entry.state)"
        if let key = entry.key { text += " \(key)" }
        text += ": \(entry.value)"
        if let deadline = entry.deadline { text += " until \(deadline)" }
        return text
    }

    private static func json(_ entry: StateEntry) -> String {
        var members = [
            "\"stage\":\(EventText.quoted(entry.stage))", "\"instance\":\(entry.instance)",
            "\"state\":\(EventText.quoted(entry.state))",
        ]
        if let group = entry.group { members.append("\"group\":\(group)") }
        if let key = entry.key { members.append("\"key\":\(EventJSON.text(key))") }
        members.append("\"value\":\(EventJSON.text(entry.value))")
        if let deadline = entry.deadline { members.append("\"deadline\":\"\(deadline)\"") }
        return "{\(members.joined(separator: ","))}"
    }

    static func line(_ value: some Encodable) throws -> String {
        String(decoding: try JSONEventEncoder().encode(value), as: UTF8.self)
    }
}
