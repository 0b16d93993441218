import ArgumentParser

@main
struct WeirCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weir",
        abstract: "Tools for Weir, the framework for event processing.",
        version: "0.1.0",
        subcommands: [
            LoadCommand.self, RunCommand.self, InspectCommand.self, CheckCommand.self,
            ReplayCommand.self,
        ])
}
