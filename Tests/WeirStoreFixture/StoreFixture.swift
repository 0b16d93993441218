import ArgumentParser
import Logging
import Weir

struct Payment: Codable, Sendable {
    var card: String
    var amount: Int
}

struct Total: Codable, Sendable {
    var sum = 0
    var count = 0
}

/// The same state after a change that its old values don't fit.
struct NamedTotal: Codable, Sendable {
    struct Owner: Codable, Sendable { var name = "" }
    var sum = ""
    var owner = Owner()
}

struct Alert: Codable, Sendable {
    var card: String
    var sum: Int
}

/// A service for tests of the commands that look into stores: it sums payments by card.
@main
struct StoreFixture: AsyncParsableCommand {
    static let configuration = CommandConfiguration(subcommands: [Make.self, Serve.self, Idle.self])

    /// Runs on a store, with a client of its own, and is suspended.
    struct Make: AsyncParsableCommand {
        @Argument var store: String
        @Argument var output: String
        @Option var payments = 100
        @Flag var encrypted = false

        func run() async throws {
            let store = try StateStore.directory(store, checkpointEvery: .zero)
                .sealed(if: encrypted)
            let running = try await Rules(output: output).topology.start(
                .init(logger: .quiet, store: store))
            let address = running.addresses.values.map(\.description).first ?? ""
            let sender = try await AcknowledgedSender.connect(
                to: "tcp://\(address)", producer: "till")
            for number in 0..<payments {
                if number == payments / 2 {
                    try await sender.waitUntilAcknowledged()
                    // Acknowledged is durable, which need not have been handled yet.
                    let handled = {
                        running.status().stages.first { $0.name == "totals" }?.eventsIn
                    }
                    while handled() ?? 0 < number { await Task.yield() }
                    try await running.savepoint("half")
                    try await running.checkpoint()
                }
                let payment = "{\"card\":\"card \(number % 10)\",\"amount\":\(number)}"
                try await sender.send(Array(payment.utf8))
            }
            try await sender.waitUntilAcknowledged()
            await sender.close()
            try await running.suspend()
            // The next run makes final what was prepared for the last checkpoint.
            let next = try await Rules(output: output).topology.start(
                .init(logger: .quiet, store: store))
            next.cancel()
            try? await next.waitUntilFinished()
        }
    }

    /// Runs until it is stopped.
    struct Serve: AsyncParsableCommand {
        @OptionGroup var rules: Rules
        @Flag var encrypted = false
        @Flag(help: "Print no end of the line.") var mutters = false

        func run() async throws {
            print("a line of the service's own", terminator: mutters ? "" : "\n")
            let store = try StateStore.directory("unused").sealed(if: encrypted)
            try await rules.topology.run(.init(logger: .quiet, store: store))
        }
    }

    /// Never starts a topology.
    struct Idle: AsyncParsableCommand {
        @Option var status: Int32 = 0

        func run() async throws { throw ExitCode(status) }
    }
}

/// What can differ between two versions of the service.
struct Rules: ParsableArguments {
    @Option var output = "/dev/null"
    @Option var limit = 300
    @Option var stage = "totals"
    @Flag var changesState = false

    init() {}

    init(output: String) {
        self.output = output
        limit = 300
        stage = "totals"
        changesState = false
    }

    var topology: Topology {
        let (limit, stage, output) = (limit, stage, output)
        return Topology("payments") {
            let payments = EventStream(
                "payments", from: .tcp(port: 0, as: Payment.self)
            ).keyed(by: { $0.card })
            if changesState {
                payments.reduce(into: NamedTotal(), name: stage) { _, _ in }
                    .map { Alert(card: $0.key, sum: 0) }
                    .sink(.transactionalJSONLines(toFile: output).named("alerts"))
            } else {
                payments.reduce(into: Total(), name: stage) { total, payment in
                    total.sum += payment.amount
                    total.count += 1
                }
                .filter { $0.value.sum > limit }
                .map { Alert(card: $0.key, sum: $0.value.sum) }
                .sink(.transactionalJSONLines(toFile: output).named("alerts"))
            }
        }
    }
}

extension StateStore {
    /// With a key that any two runs have.
    func sealed(if isSealed: Bool) throws -> StateStore {
        guard isSealed else { return self }
        guard let key = EncryptionKey(id: 1, bytes: [UInt8](repeating: 1, count: 32)) else {
            throw ExitCode(70)
        }
        return encrypted(with: FixedKeys(current: key))
    }
}

extension Logger {
    static var quiet: Logger {
        var logger = Logger(label: "fixture") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .error
        return logger
    }
}
