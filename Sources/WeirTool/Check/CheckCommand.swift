import ArgumentParser
import Foundation
import WeirCore

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Says before a deployment whether a service can go on from a checkpoint.",
        discussion: """
            Runs the service's own binary with WEIR_CHECK set: when it starts its topology, it \
            builds the stages, decodes all of the checkpoint's state, says what it found and exits. \
            No socket opens, nothing is written, a run may have the store open. The exit status is 0 \
            when it loads, 1 when it doesn't, 64 for wrong arguments, 66 when there is no such store \
            or checkpoint or it is damaged, 70 when the service starts no topology, 127 when it \
            can't be started.
            """)

    @Argument(help: "The directory of the store.")
    var store: String

    @Option(help: "The checkpoint's number. Default: the newest.")
    var checkpoint: Int?

    @Option(help: "The savepoint's name.")
    var savepoint: String?

    @Flag(help: "Print the report as JSON.")
    var json = false

    @Option(help: "Seconds after which a service that says nothing is killed; 0 for never.")
    var timeout = 600

    @Argument(parsing: .postTerminator, help: "-- and the service with its arguments.")
    var command: [String] = []

    func validate() throws {
        if command.isEmpty {
            throw ValidationError("the service is missing: weir check STORE -- ./service arguments")
        }
        if checkpoint != nil && savepoint != nil {
            throw ValidationError("give either --checkpoint or --savepoint")
        }
        if timeout < 0 { throw ValidationError("--timeout is \(timeout); it is 0 or more") }
    }

    func run() throws {
        let loads = try ToolOutput.reporting("check") {
            let reader = try StoreReader(path: store)
            _ = try reader.snapshot(checkpoint: checkpoint, savepoint: savepoint)
            let request = CheckRequest(store: store, checkpoint: checkpoint, savepoint: savepoint)
            let service = ServiceProcess(
                command: command, variable: InspectionRequest.checkVariable, value: request.text,
                marker: InspectionRequest.checkMarker,
                timeout: timeout > 0 ? .seconds(timeout) : nil)
            let answer = try service.run { ToolOutput.note($0) }
            let report = try service.decode(CheckReport.self, from: answer)
            print(json ? answer.json ?? "" : report.description)
            return report.loads
        }
        if !loads { throw ExitCode(1) }
    }
}
