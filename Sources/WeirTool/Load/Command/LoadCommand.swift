import ArgumentParser

struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Sends messages or requests at a fixed rate and times them; compares two loads.",
        discussion: """
            'weir load TARGET …' is 'weir load send TARGET …'. All its options: \
            'weir help load send'.
            """,
        subcommands: [SendLoadCommand.self, CompareLoadsCommand.self],
        defaultSubcommand: SendLoadCommand.self)
}
