import ArgumentParser
import Weir

/// Plays the banks: sends payments with frauds among them and counts which of them are found.
struct FeedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "feed",
        abstract: "Sends payments with known frauds, and says how many of them were found.",
        discussion: "Ends with exit code 1 when a fraud was missed.")

    @Option(help: "Where payments are taken.")
    var url = "ws://127.0.0.1:8080/payments"

    @Option(help: "About how many payments to send, 500 to 10,000,000.")
    var payments = 20_000

    @Option(help: "How many to send per second.")
    var rate = 2_000.0

    @Option(help: "Equal seeds give equal payments.")
    var seed: UInt64 = 1

    @Option(help: "How many frauds of each kind to plant, each on a card of its own.")
    var frauds = 10

    @Option(help: "How many seconds to wait for alerts after the last payment.")
    var timeout = 30.0

    @Option(
        help: ArgumentHelp(
            "The time of the first payments.",
            discussion: "By default in 2020, or later than all that the server has seen."),
        transform: { text in
            guard let time = EventTime(rfc3339: text) else {
                throw ValidationError("\(text) is no time such as 2020-01-01T00:00:00Z")
            }
            return time
        })
    var start: EventTime?

    func validate() throws {
        guard (500...10_000_000).contains(payments) else {
            throw ValidationError("--payments takes 500 to 10000000")
        }
        guard rate >= 1, rate <= 10_000_000 else {
            throw ValidationError("--rate takes 1 to 10000000")
        }
        guard frauds >= 0 else { throw ValidationError("--frauds can't be negative") }
        guard timeout > 0, timeout <= 86_400 else {
            throw ValidationError("--timeout takes more than 0 and at most 86400 seconds")
        }
        guard url.hasSuffix("/payments") else {
            throw ValidationError("--url has to end with /payments, not \(url)")
        }
    }

    func run() async throws {
        let feed = Feed(
            server: String(url.dropLast("/payments".count)), count: payments, rate: rate,
            seed: seed, planted: frauds, timeout: .seconds(timeout), start: start)
        let result = try await feed.run()
        print(result)
        if result.missed > 0 { throw ExitCode.failure }
    }
}
