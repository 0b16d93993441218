import ArgumentParser
import Weir

/// Plays the banks: sends transfers until all are acknowledged, whatever becomes of the service meanwhile.
struct FeedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "feed",
        abstract: "Sends transfers, again where needed, until all count, and compares the totals.",
        discussion: """
            Ends with exit code 1 when the totals are wrong. The last line is a JSON document of what was sent.
            """)

    @Option(help: "The service's address.")
    var host = "127.0.0.1"

    @Option(help: "The port of the service's WebSocket.")
    var port = 8_090

    @Option(help: "Send lines of TCP to this port instead.")
    var tcpPort: Int?

    @Option(help: "How many transfers to send, 1 to 1,000,000,000.")
    var events = 100_000

    @Option(help: "Equal seeds give equal transfers.")
    var seed: UInt64 = 1

    @Option(help: "How many accounts there are, 1 to 10,000,000.")
    var accounts = 1_000

    @Option(help: "How many to send per second; as many as are taken when not given.")
    var rate: Double?

    @Option(help: "How many seconds the service may be away, or the totals may take, at most.")
    var timeout = 60.0

    @Option(help: "The name under which the service knows this sender; by default a new one.")
    var producer: String?

    @Flag(help: "Print nothing but the last line.")
    var json = false

    func validate() throws {
        guard (1...1_000_000_000).contains(events) else {
            throw ValidationError("--events takes 1 to 1000000000")
        }
        guard (1...10_000_000).contains(accounts) else {
            throw ValidationError("--accounts takes 1 to 10000000")
        }
        if let rate, !(rate >= 1 && rate <= 1e9) {
            throw ValidationError("--rate takes 1 to 1000000000")
        }
        guard timeout > 0, timeout <= 86_400 else {
            throw ValidationError("--timeout takes more than 0 and at most 86400 seconds")
        }
    }

    func run() async throws {
        let name = producer ?? "feed-\(seed)-\(UInt64.random(in: .min ... .max))"
        let feed = Feed(
            host: host, port: port, tcpPort: tcpPort,
            transfers: Transfers(
                count: events, accounts: accounts, seed: seed), producer: name, rate: rate,
            timeout: .seconds(timeout))
        let result = try await feed.run()
        if !json { print(result) }
        print(result.line)
        if !result.isRight { throw ExitCode.failure }
    }
}
