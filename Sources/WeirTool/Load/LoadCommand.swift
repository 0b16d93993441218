import ArgumentParser
import Dispatch
import Foundation
import Weir

struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Sends messages to a WebSocket or TCP server at a fixed rate and times them.",
        discussion: """
            The load is open loop: message i is due at start + i / rate, whatever became of those \
            before it, and its time runs from then. With --expect-echo it runs to the answer (one \
            message for each, on the same connection, in order), else to when the kernel has taken \
            the message, which is called send delay. Ctrl-C ends early and still reports.
            """)

    @Argument(help: "ws://host:port/path or tcp://host:port; wss:// or tls:// with TLS")
    var target: String

    @Option(help: "Connections, 1 to 10,000; messages go to them in turn.")
    var connections = 10

    @Option(help: "Messages per second, over all connections; up to 1,000,000.")
    var rate = 1_000.0

    @Option(help: "Seconds for which messages are due; up to 3,600.")
    var duration = 10.0

    @Option(help: "End after so many messages, if that comes before the duration's end.")
    var messages: Int?

    @Option(help: "Bytes of a message of seeded letters and digits. (default: 100)")
    var size: Int?

    @Option(help: "The text of a message; {{seq}}, {{now}} and {{random}} are filled in.")
    var message: String?

    @Option(help: "A file of messages like --message, one a line, sent in turn.")
    var messageFile: String?

    @Option(help: "How messages are told apart over TCP: lines, or length (4 bytes, big endian).")
    var framing = LoadPlan.Framing.lines

    @Option(help: "With TLS: a PEM file of the authorities to trust. (default: the system's)")
    var ca: String?

    @Option(help: "With TLS: a PEM file of the certificate to show, and its chain.")
    var cert: String?

    @Option(help: "With TLS: a PEM file of that certificate's private key.")
    var key: String?

    @Option(help: "A file with a token to show: Authorization: Bearer, over TCP WEIR-AUTH/1.")
    var tokenFile: String?

    @Flag(help: "Expect each message to be answered by one, and time the answer.")
    var expectEcho = false

    @Option(help: "Seed of the messages' random parts.")
    var seed: UInt64 = 1

    @Option(help: "Seconds to wait at the end for what is under way.")
    var grace = 5.0

    @Flag(help: "Print the report as JSON.")
    var json = false

    @Flag(help: "Write a line each second, also when standard error is no terminal.")
    var progress = false

    @Flag(help: "Allow a target that is not this machine. Load only what you may load.")
    var allowRemote = false

    func validate() throws {
        do {
            var plan = try self.plan()
            // The file is read when the command runs.
            if messageFile != nil { plan.payload = .random(byteCount: 1) }
            try plan.validate()
        } catch {
            throw ValidationError(error.description)
        }
    }

    func run() async throws {
        var plan = try plan()
        if let messageFile { plan.payload = try Self.read(messageFile) }
        if let tokenFile {
            plan.authorization = .bearer(try ClientAuthorization.token(inFile: tokenFile))
        }
        let run = try LoadRun(plan)
        let signals = Self.onInterrupt { run.interrupt() }
        defer { signals.cancel() }
        let showsProgress = progress || isatty(STDERR_FILENO) == 1
        let report = try await run.run(onSecond: showsProgress ? Self.progressWriter() : nil)
        if json {
            let bytes = try JSONEventEncoder(sortedKeys: true).encode(report)
            print(String(decoding: bytes, as: UTF8.self))
        } else {
            print(report.table)
        }
    }

    private static func progressWriter() -> @Sendable (LoadRecord) -> Void {
        let line = ProgressLine()
        return { record in FileHandle.standardError.write(Data("\(line.next(record))\n".utf8)) }
    }

    /// The plan that the arguments describe, without the file's messages.
    func plan() throws(LoadError) -> LoadPlan {
        guard [size != nil, message != nil, messageFile != nil].count(where: { $0 }) <= 1 else {
            throw LoadError("give only one of --size, --message and --message-file")
        }
        var plan = LoadPlan(target: try LoadTarget(target))
        plan.connections = connections
        plan.rate = rate
        plan.duration = try Self.seconds("--duration", duration)
        plan.grace = try Self.seconds("--grace", grace)
        plan.messages = messages
        plan.framing = framing
        plan.expectsEcho = expectEcho
        plan.seed = seed
        plan.allowsRemote = allowRemote
        guard (cert == nil) == (key == nil) else {
            throw LoadError("give both of --cert and --key, or none")
        }
        if let ca { plan.tls.authorities = .file(ca) }
        if let cert, let key { plan.tls.certificate = .files(chain: cert, key: key) }
        if let size { plan.payload = .random(byteCount: size) }
        if let message { plan.payload = .templates([try MessageTemplate(message)]) }
        return plan
    }

    private static func seconds(_ name: String, _ value: Double) throws(LoadError) -> Duration {
        guard value >= 0, value <= 1e6 else {
            throw LoadError("\(name) is \(value); it is a number of seconds")
        }
        return .nanoseconds(Int64((value * 1e9).rounded()))
    }

    /// A file with more bytes is refused.
    private static let fileBytesMax = 16 * 1_024 * 1_024

    static func read(_ path: String) throws -> Payload {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        let data = try file.read(upToCount: fileBytesMax + 1) ?? Data()
        guard data.count <= fileBytesMax else {
            throw LoadError("\(path) is longer than \(fileBytesMax) bytes")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw LoadError("\(path) is not UTF-8")
        }
        let lines = text.split(whereSeparator: \.isNewline)
        return .templates(try lines.map { try MessageTemplate($0) })
    }

    /// Runs a closure at the first Ctrl-C; a second one ends the process.
    private static func onInterrupt(
        _ body: @escaping @Sendable () -> Void
    ) -> any DispatchSourceSignal {
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(
            signal: SIGINT, queue: DispatchQueue(label: "weir-load-signals"))
        source.setEventHandler {
            signal(SIGINT, SIG_DFL)
            body()
        }
        source.resume()
        return source
    }
}

extension LoadPlan.Framing: ExpressibleByArgument {}
