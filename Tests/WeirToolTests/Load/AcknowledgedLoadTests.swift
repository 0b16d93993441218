import ArgumentParser
import Foundation
import Synchronization
import Testing
import WeirCore
import WeirNetwork
import WeirTestSupport

@testable import WeirTool

@Suite(.timeLimit(.minutes(5))) struct `A load with acknowledgements` {
    struct Numbered: Codable, Sendable {
        let seq: Int
    }

    /// A service with a store that writes what it gets into a file.
    private func start(_ folder: Folder, overWebSocket: Bool) async throws
        -> (running: RunningTopology, url: String)
    {
        let source: Source<Numbered> =
            overWebSocket ? .webSocket("/in", port: 0) : .tcp(port: 0)
        let topology = Topology("numbers") {
            EventStream("in", from: source)
                .sink(.transactionalJSONLines(toFile: folder("out.jsonl")))
        }
        var configuration = RunConfiguration()
        configuration.store = .directory(folder("store"), checkpointEvery: .milliseconds(20))
        let running = try await topology.start(configuration)
        let scheme = overWebSocket ? "http" : "tcp"
        let port = try #require(running.addresses["\(scheme)://127.0.0.1:0"]).port
        let url = overWebSocket ? "ws://127.0.0.1:\(port)/in" : "tcp://127.0.0.1:\(port)"
        return (running, url)
    }

    @Test(arguments: [true, false])
    func `times what a service has made safe, and finds it in its file`(
        overWebSocket: Bool
    ) async throws {
        let folder = try Folder()
        let (running, url) = try await start(folder, overWebSocket: overWebSocket)
        let arguments = [
            url, "--acknowledge", "load", "--message", #"{"seq":{{seq}}}"#, "--messages", "500",
            "--rate", "5000", "--connections", "3", "--grace", "60", "--verify",
            folder("out.jsonl"),
        ]
        let plan = try SendLoadCommand.parse(arguments).plan()
        let result = try await LoadRun(plan).measure()
        let report = result.report
        #expect(report.measured == "acknowledgement latency")
        #expect(report.answered == 500 && report.unfinished == 0 && report.unsent == 0)
        let acknowledgement = try #require(report.acknowledgement)
        #expect(acknowledgement.acknowledged == 500 && acknowledgement.notAcknowledged == 0)
        #expect(acknowledgement.isDurable == (overWebSocket ? true : nil))
        #expect(report.latencyMicroseconds.count == 500)
        let acknowledged = try #require(result.acknowledged)
        #expect(acknowledged.count == 500)
        try await running.drain()
        var verification = Verification(member: "seq", acknowledged: acknowledged, capacity: 500)
        try await verification.follow(folder("out.jsonl"), for: .seconds(60))
        #expect(verification.report.isGood && verification.report.lines == 500)
    }

    @Test func `ends with 0 when each message is there once, with 1 when one is not`() async throws
    {
        let folder = try Folder()
        let (running, url) = try await start(folder, overWebSocket: true)
        let arguments = [
            "load", url, "--message", #"{"seq":{{seq}}}"#, "--messages", "200", "--rate", "5000",
            "--grace", "60", "--json",
        ]
        let good = try await Tool.run(
            "weir",
            arguments + ["--acknowledge", "first", "--verify", folder("out.jsonl")])
        #expect(good.status == 0, "\(good)")
        let report = try JSONDecoder().decode(LoadReport.self, from: Data(good.output.utf8))
        #expect(report.verification?.isGood == true)
        #expect(report.verification?.acknowledged == 200)
        // The same numbers from another producer, checked against a file that has each twice.
        let lines = try String(contentsOfFile: folder("out.jsonl"), encoding: .utf8)
        try (lines + lines).write(toFile: folder("twice.jsonl"), atomically: true, encoding: .utf8)
        let twice = try await Tool.run(
            "weir",
            arguments + ["--acknowledge", "second", "--verify", folder("twice.jsonl")])
        #expect(twice.status == 1, "\(twice)")
        let second = try JSONDecoder().decode(LoadReport.self, from: Data(twice.output.utf8))
        #expect(second.acknowledgement?.acknowledged == 200)
        #expect((second.verification?.duplicates ?? 0) == 200)
        try await running.drain()
    }

    /// Speaks the protocol over TCP: what a test says to each frame, by connection.
    private func server(
        _ answer: @escaping @Sendable (_ connection: Int, _ frame: String) -> [String]?
    ) async throws -> ScriptedServer {
        try await ScriptedServer { connection, number in
            let reader = FramedReader(
                connection, framing: LineFraming(),
                onFrame: { bytes in
                    if let lines = answer(number, String(decoding: bytes, as: UTF8.self)) {
                        for line in lines { connection.write(line + "\n") }
                    } else {
                        connection.close()
                    }
                    return .proceed
                })
            reader.resume()
        }
    }

    private func plan(_ server: ScriptedServer, _ messages: Int) throws -> LoadPlan {
        var plan = LoadPlan(target: try LoadTarget("tcp://127.0.0.1:\(server.port)"))
        plan.connections = 1
        plan.rate = 2_000
        plan.messages = messages
        plan.producer = "load"
        plan.grace = .seconds(60)
        return plan
    }

    @Test func `sends again what was not acknowledged before its connection was lost`()
        async throws
    {
        let server = try await server { connection, frame in
            if frame.hasPrefix("WEIR-ACK") { return ["ACK \(connection == 0 ? 0 : 3)"] }
            let number = Int(frame.prefix { $0 != " " }) ?? 0
            if connection == 0 { return number == 6 ? nil : [] }
            return ["ACK \(number)"]
        }
        let report = try await LoadRun(try plan(server, 20)).run()
        #expect(report.answered == 20 && report.unfinished == 0)
        let acknowledgement = try #require(report.acknowledgement)
        #expect(acknowledgement.acknowledged == 20 && acknowledgement.notAcknowledged == 0)
        // 4 to 6 at least: what else was on its way when the connection ended came again too.
        #expect(acknowledgement.resent >= 3 && report.reconnections == 1)
        #expect(report.latencyMicroseconds.count == 20)
        await server.stop()
    }

    @Test func `counts what is never acknowledged`() async throws {
        let server = try await server { _, frame in
            if frame.hasPrefix("WEIR-ACK") { return ["ACK 0"] }
            return frame.hasPrefix("5 ") ? ["ACK 5"] : []
        }
        var plan = try plan(server, 20)
        plan.grace = .seconds(2)
        plan.keepsAcknowledged = true
        let result = try await LoadRun(plan).measure()
        #expect(result.report.acknowledgement?.acknowledged == 5)
        #expect(result.report.acknowledgement?.notAcknowledged == 15)
        #expect(result.report.unfinished == 15)
        #expect(result.report.table.contains("15 NOT ACKNOWLEDGED"))
        let acknowledged = try #require(result.acknowledged)
        #expect((0..<20).filter { acknowledged.contains($0) } == [0, 1, 2, 3, 4])
        let outcome = try await Tool.weir(
            "load", plan.target.url, "--acknowledge", "other", "--messages", "10", "--rate",
            "1000", "--grace", "0.1", "--connections", "1")
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.output.contains("NOT ACKNOWLEDGED"))
        await server.stop()
    }

    @Test func `ends when the source refuses the producer`() async throws {
        let server = try await server { _, frame in
            frame.hasPrefix("WEIR-ACK") ? ["ACK 0"] : ["ERR enough of you"]
        }
        let report = try await LoadRun(try plan(server, 100_000)).run()
        #expect(report.failedConnections == 1 && report.answered == 0)
        #expect(report.failures.first?.contains("enough of you") == true)
        #expect((report.acknowledgement?.notAcknowledged ?? 0) > 0)
        await server.stop()
    }
}

@Suite struct `The verification of a file` {
    private func set(_ numbers: [Int], capacity: Int = 100) -> SequenceSet {
        var set = SequenceSet(capacity: capacity)
        for number in numbers { set.insert(number) }
        return set
    }

    private func verify(
        _ text: String, _ acknowledged: [Int], member: String = "seq", pieces: Int = 7
    ) -> VerificationReport {
        var verification = Verification(
            member: member, acknowledged: set(acknowledged), capacity: 100)
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            verification.read(bytes[start..<min(bytes.count, start + pieces)])
        }
        verification.finish()
        return verification.report
    }

    @Test func `is good when every acknowledged number is there once`() {
        let report = verify("{\"seq\":2}\n{\"seq\":0}\n\n{\"seq\":\"1\"}", [0, 1, 2])
        #expect(report.isGood && report.lines == 3 && report.otherLines == 0)
    }

    @Test func `names what is missing and what is there twice`() {
        let text = [0, 1, 1, 3, 5, 5, 5].map { #"{"seq":\#($0)}"# }.joined(separator: "\n")
        let report = verify(text + "\n", [0, 1, 2, 3, 4])
        #expect(!report.isGood)
        #expect(report.missing == 2 && report.firstMissing == [2, 4])
        #expect(report.duplicates == 2 && report.firstDuplicates == [1, 5])
        #expect(report.notAcknowledgedButFound == 1)
        #expect(report.text.contains("missing 2 (2, 4)"))
    }

    @Test func `takes no other number for one that is missing`() {
        let text = [-5, -64, 59.5].map { #"{"seq":\#($0)}"# }.joined(separator: "\n")
        let report = verify(text, [0, 59])
        #expect(report.missing == 2 && report.firstMissing == [0, 59] && report.otherLines == 3)
    }

    @Test func `looks into inner members, and counts lines without a number`() {
        let text = #"{"a":{"b":1}}"# + "\n" + #"{"a":2}"# + "\nnonsense\n" + #"{"a":{"b":900}}"#
        let report = verify(text, [1], member: "a.b")
        #expect(report.isGood && report.lines == 4 && report.otherLines == 3)
    }

    @Test func `knows the member by the message`() throws {
        for (text, member) in [
            (#"{"id":{{seq}}}"#, "id"), (#"{"a":1,"n" : "{{ seq }}"}"#, "n"), ("{{seq}}", nil),
            (#"{"a":1}"#, nil), (#"{"a":"x-{{seq}}"}"#, nil),
        ] as [(String, String?)] {
            #expect(try MessageTemplate(text).sequenceMember == member)
        }
    }

    @Test func `lists numbers over the words of its set`() {
        let numbers = [0, 1, 63, 64, 65, 127, 128, 99_999]
        let all = set(numbers, capacity: 100_000)
        #expect(all.count == numbers.count && !all.contains(2) && !all.contains(-1))
        #expect(!all.contains(100_001))
        let rest = all.subtracting(set([1, 64], capacity: 100), limit: 3)
        #expect(rest.count == 6 && rest.first == [0, 63, 65])
    }
}
