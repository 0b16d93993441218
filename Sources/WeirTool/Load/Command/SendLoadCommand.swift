import ArgumentParser
import Dispatch
import Foundation
import Weir

struct SendLoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Sends messages or requests at a fixed rate and times them.",
        discussion: """
            The load is open loop: message i is due at start + i / rate, whatever became of those \
            before it, and its time runs from then. Over HTTP it runs to the end of the response; \
            with --acknowledge to the acknowledgement; with --expect-echo to the answer (one \
            message for each, on the same connection, in order); else to when the kernel has taken \
            the message, which is called send delay. Ctrl-C ends early and still reports.
            """)

    @Argument(
        help:
            """
            ws://host:port/path, tcp://host:port, http://host:port/path or unix:path; with TLS \
            wss://, tls:// or https://
            """
    )
    var target: String

    @Option(help: "Connections, 1 to 10,000; messages go to them in turn.")
    var connections = 10

    @Option(help: "Messages per second, over all connections; up to 1,000,000.")
    var rate: Double?

    @Option(help: "Seconds for which messages are due; up to 3,600. (default: 10)")
    var duration: Double?

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

    @Flag(help: "Allow a target that is not this machine. Load only what you may load.")
    var allowRemote = false

    @OptionGroup(title: "HTTP") var http: HTTPLoadOptions
    @OptionGroup(title: "Rates that change") var changing: RateOptions
    @OptionGroup(title: "Acknowledgements") var acknowledgements: AcknowledgementOptions
    @OptionGroup(title: "Reports") var reports: ReportOptions

    func validate() throws {
        do {
            var plan = try self.plan()
            try checkTogether(plan)
            try OutputFile.checkPlot(reports.plot)
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
        if case .steps(let rates) = try changing.rates() {
            try await search(plan, rates)
        } else {
            try await send(plan)
        }
    }

    private func send(_ plan: LoadPlan) async throws {
        let member = try acknowledgements.verify.map { _ in try verifiedMember(plan) }
        let files = try reports.histogram.map { try OutputFile($0) }
        let plotFile = try reports.plot.map { try OutputFile($0) }
        let run = try LoadRun(plan, keepsHistograms: !files.isEmpty)
        let signals = Self.onInterrupt { run.interrupt() }
        defer { signals.cancel() }
        let result = try await run.measure(onSecond: progress())
        var report = result.report
        if let member, let path = acknowledgements.verify, let acknowledged = result.acknowledged {
            var verification = Verification(
                member: member, acknowledged: acknowledged, capacity: plan.schedule.count)
            try await verification.follow(path, for: plan.grace)
            report.verification = verification.report
        }
        for file in files {
            try file.write(HistogramLog.text(HistogramLog.Format(path: file.path), result))
        }
        try plotFile?.write(LatencyPlot(report).svg)
        if reports.json { try Self.printJSON(report) } else { print(report.table) }
        let isAcknowledged = report.acknowledgement.map { $0.notAcknowledged == 0 } ?? true
        if !isAcknowledged || report.verification?.isGood == false { throw ExitStatus.of(1) }
    }

    private func search(_ plan: LoadPlan, _ rates: [Double]) async throws {
        let plotFile = try reports.plot.map { try OutputFile($0) }
        let search = try LoadSearch(plan, rates: rates, bound: try changing.bound())
        let signals = Self.onInterrupt { search.interrupt() }
        defer { signals.cancel() }
        let showsSteps = reports.showsProgress
        let report = try await search.run(onStep: { step in
            if showsSteps { Self.writeError(step.line) }
        })
        try plotFile?.write(LatencyPlot(report).svg)
        if reports.json { try Self.printJSON(report) } else { print(report.table) }
    }

    static func printJSON(_ value: some Encodable) throws {
        let bytes = try JSONEventEncoder(sortedKeys: true).encode(value)
        print(String(decoding: bytes, as: UTF8.self))
    }

    private static func writeError(_ line: String) {
        FileHandle.standardError.write(Data("\(line)\n".utf8))
    }

    private func progress() -> (@Sendable (LoadRecord) -> Void)? {
        guard reports.showsProgress else { return nil }
        let line = ProgressLine()
        return { record in Self.writeError(line.next(record)) }
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
