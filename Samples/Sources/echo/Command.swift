import ArgumentParser
import Logging
import UnixSignals
import Weir

@main struct Command: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo",
        abstract: "Sends back each WebSocket message it gets, as a server or as a client.",
        subcommands: [Serve.self, Connect.self], defaultSubcommand: Serve.self)
}

/// What both sides allow: enough for the largest messages of the Autobahn test suite.
struct EchoOptions: ParsableArguments {
    @Option(help: "The longest message in bytes.")
    var maximumLength = 64 << 20

    @Flag(inversion: .prefixedNo, help: "Agree on permessage-deflate with a peer that knows it.")
    var compression = true

    func validate() throws {
        guard (1...(1 << 30)).contains(maximumLength) else {
            throw ValidationError("--maximum-length takes 1 to \(1 << 30)")
        }
    }

    var connection: WebSocketConnection.Configuration {
        var connection = WebSocketConnection.Configuration()
        connection.limits.maximumFrameLength = maximumLength
        connection.limits.maximumMessageLength = maximumLength
        connection.slowConsumers = .report
        if compression {
            var compression = WebSocketCompression()
            // Short messages too: this is a program to test with.
            compression.minimumLength = 1
            connection.compression = compression
        }
        return connection
    }
}

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Echoes on the path /, until it is stopped by SIGTERM or SIGINT (the default).")

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port; 0 picks one.")
    var port = 9_000

    @Option(help: "A file with the certificate and its chain (PEM); speaks wss:// then.")
    var cert: String?

    @Option(help: "The file with the certificate's key (PEM).")
    var key: String?

    @OptionGroup var options: EchoOptions

    func validate() throws {
        guard (0...65_535).contains(port) else {
            throw ValidationError("a port is a number from 0 to 65535, not \(port)")
        }
        guard (cert == nil) == (key == nil) else {
            throw ValidationError("--cert and --key go together")
        }
    }

    func run() async throws {
        let logger = Logger(label: "echo") { StreamLogHandler.standardError(label: $0) }
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        var configuration = NetworkServer.Configuration(host: host, port: port)
        configuration.logger = logger
        if let cert, let key { configuration.tls = .init(.files(chain: cert, key: key)) }
        let server = try NetworkServer(configuration)
        var paths = WebSocketOptions()
        paths.connection = options.connection
        server.addWebSocket("/") { [paths] request in paths.decide(request, for: Echo()) }
        let address = try await server.start()
        logger.info("listening on \(cert == nil ? "ws" : "wss")://\(address)")
        for await _ in signals { break }
        await server.stop()
    }
}

struct Connect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Connects to a server and echoes what it sends, until it closes.",
        discussion: """
            Where the address is that of a fuzzing server of the Autobahn test suite, all of its \
            cases are run and its reports written.
            """)

    @Argument(help: "The server's address, such as ws://127.0.0.1:9001.")
    var url: String

    @Option(help: "The name in the reports of a fuzzing server.")
    var agent = "Weir"

    @Option(help: "The first case of a fuzzing server to run, as a number from 1.")
    var from = 1

    @Option(help: "The last case to run; all that there are by default.")
    var to: Int?

    @Option(help: "A file with the authorities to trust for wss:// (PEM); the system's by default.")
    var ca: String?

    @OptionGroup var options: EchoOptions

    func run() async throws {
        var trust = TLSClientConfiguration()
        if let ca { trust.authorities = .file(ca) }
        let client = EchoClient(
            connection: options.connection,
            tls: url.hasPrefix("wss:") ? try TLSClientContext(trust) : nil)
        let base = url.hasSuffix("/") ? String(url.dropLast()) : url
        guard let cases = await client.number("\(base)/getCaseCount") else {
            let closure = try await client.echo(url)
            print("closed with \(closure.code) \(closure.reason)")
            return
        }
        var lost = 0
        let last = min(cases, to ?? cases)
        for number in stride(from: max(1, from), through: last, by: 1) {
            do {
                _ = try await client.echo("\(base)/runCase?case=\(number)&agent=\(agent)")
            } catch {
                lost += 1
                print("case \(number): \(error)")
            }
        }
        // The last case counts when the suite has seen its connection go.
        try await Task.sleep(for: .seconds(2))
        _ = try await client.echo("\(base)/updateReports?agent=\(agent)")
        print("the cases \(max(1, from)) to \(last) of \(cases) were run")
        if lost > 0 { throw ExitCode.failure }
    }
}
