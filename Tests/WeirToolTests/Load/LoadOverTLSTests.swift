import ArgumentParser
import Testing
import WeirCore
import WeirNetwork
import WeirTestSupport

@testable import WeirTool

@Suite(.timeLimit(.minutes(5))) struct `A load over TLS` {
    struct Numbered: Codable, Sendable {
        let seq: Int
    }

    /// A service with a store, a source for each transport, and a certificate of its own.
    private struct Service {
        let folder: Folder
        let running: RunningTopology

        var certificate: String { folder("own.pem") }

        init() async throws {
            folder = try Folder()
            let made = try await Tool.run(
                at: "/usr/bin/env",
                [
                    "openssl", "req", "-x509", "-days", "3", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder("own.key"), "-out",
                    folder("own.pem"), "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1",
                ])
            try #require(made.status == 0, "\(made)")
            var tls = TLSServerConfiguration()
            tls.certificates = [.files(chain: folder("own.pem"), key: folder("own.key"))]
            let (out, server) = (folder("out.jsonl"), tls)
            let topology = Topology("secure") {
                EventStream("posted", from: Source<Numbered>.http("/in", port: 0, tls: server))
                    .merge(
                        EventStream(
                            "sent", from: Source<Numbered>.webSocket("/in", port: 0, tls: server)),
                        EventStream("written", from: Source<Numbered>.tcp(port: 0, tls: server))
                    )
                    .sink(.transactionalJSONLines(toFile: out))
            }
            var configuration = RunConfiguration()
            configuration.store = .directory(
                folder("store"), checkpointEvery: .milliseconds(20))
            running = try await topology.start(configuration)
        }

        func url(_ scheme: String) throws -> String {
            let server = scheme == "tls" ? "tls" : "https"
            let address = running.addresses.first { $0.key.hasPrefix("\(server):") }?.value
            let port = try #require(address?.port, "\(running.addresses)")
            return "\(scheme)://127.0.0.1:\(port)\(scheme == "tls" ? "" : "/in")"
        }

        func plan(_ scheme: String, _ more: [String]) throws -> LoadPlan {
            try SendLoadCommand.parse(
                [
                    try url(scheme), "--message", #"{"seq":{{seq}}}"#, "--messages", "500",
                    "--rate", "5000", "--connections", "3", "--grace", "60",
                ] + more
            ).plan()
        }

        /// How often each number is in the file at the end.
        func written(_ messages: Int) async throws -> VerificationReport {
            try await running.drain()
            var all = SequenceSet(capacity: messages)
            for number in 0..<messages { all.insert(number) }
            var verification = Verification(
                member: "seq", acknowledged: all, capacity: messages)
            try await verification.follow(folder("out.jsonl"), for: .seconds(60))
            return verification.report
        }
    }

    @Test func `answers each request of HTTPS once`() async throws {
        let service = try await Service()
        let plan = try service.plan("https", ["--ca", service.certificate])
        let report = try await LoadRun(plan).run()
        #expect(report.answered == 500 && report.unfinished == 0 && report.unsent == 0)
        #expect(report.statuses == ["202": 500])
        let written = try await service.written(500)
        #expect(written.isGood && written.lines == 500)
    }

    @Test(arguments: ["wss", "tls"])
    func `acknowledges each message once`(scheme: String) async throws {
        let service = try await Service()
        let plan = try service.plan(
            scheme, ["--ca", service.certificate, "--acknowledge", "till"])
        let report = try await LoadRun(plan).run()
        let acknowledgement = try #require(report.acknowledgement)
        #expect(acknowledgement.acknowledged == 500 && acknowledgement.notAcknowledged == 0)
        #expect(report.answered == 500 && report.unfinished == 0)
        let written = try await service.written(500)
        #expect(written.isGood && written.lines == 500)
    }

    @Test(arguments: ["https", "wss", "tls"])
    func `says so when it does not trust the server`(scheme: String) async throws {
        let service = try await Service()
        let plan = try service.plan(scheme, [])
        let error = await #expect(throws: LoadError.self) { try await LoadRun(plan).run() }
        #expect(error?.description.contains("certificate") == true, "\(String(describing: error))")
        try await service.running.drain()
    }
}
