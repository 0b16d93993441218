import ArgumentParser
import Foundation
import Synchronization
import Testing
import WeirCore
import WeirNetwork
import WeirTestSupport

@testable import WeirTool

@Suite(.timeLimit(.minutes(5))) struct `A load over HTTP` {
    @Test func `sends every request once, with head and body as asked`() async throws {
        let target = try await HTTPTarget()
        let template = try MessageTemplate(#"{"id":{{seq}}}"#)
        let header = try HTTPRequests.Header("X-Load: a b")
        let plan = try target.plan {
            $0.messages = 300
            $0.payload = .templates([template])
            $0.http.method = "PUT"
            $0.http.headers = [header]
            $0.authorization = .bearer("secret")
        }
        let report = try await LoadRun(plan).run()
        let requests = target.requests
        #expect(Set(requests.map(\.body)) == Set((0..<300).map { #"{"id":\#($0)}"# }))
        #expect(requests.count == 300)
        let head = try #require(requests.first?.head)
        #expect(head.method == "PUT" && head.target == "/load?a=b" && head.keepsAlive)
        #expect(head.headers["Host"] == plan.target.authority)
        #expect(head.headers["X-Load"] == "a b")
        #expect(head.headers["Authorization"] == "Bearer secret")
        #expect(head.headers["Content-Type"] == "application/json")
        #expect(report.due == 300 && report.sent == 300 && report.answered == 300)
        #expect(report.unsent == 0 && report.unfinished == 0 && report.refused == 0)
        #expect(report.statuses == ["200": 300] && report.reconnections == 0)
        #expect(report.bytesReceived == 300 * 5)
        #expect(report.measured == "response latency" && report.latencyMicroseconds.count == 300)
        #expect(report.sinceSentMicroseconds?.count == 300)
        #expect(Set(requests.map(\.connection)) == [0, 1])
        await target.stop()
    }

    @Test func `sends no body with GET, and a length of 0 with an empty POST`() async throws {
        for (method, length) in [("GET", nil), ("POST", "0")] as [(String, String?)] {
            let target = try await HTTPTarget()
            let plan = try target.plan {
                $0.messages = 3
                $0.payload = .empty
                $0.http.method = method
            }
            let report = try await LoadRun(plan).run()
            #expect(report.answered == 3 && report.payloadBytesSent == 0)
            #expect(target.requests.allSatisfy { $0.head.headers["Content-Length"] == length })
            #expect(target.requests.allSatisfy { $0.head.headers["Content-Type"] == nil })
            await target.stop()
        }
        let plan = try SendLoadCommand.parse(["http://localhost/", "--method", "get"]).plan()
        #expect(plan.payload == .empty && plan.http.method == "GET")
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    ])
    func `reads responses in all their forms over one connection`(response: String) async throws {
        let target = try await HTTPTarget { _ in .send(response) }
        let plan = try target.plan {
            $0.messages = 40
            $0.connections = 1
        }
        let report = try await LoadRun(plan).run()
        #expect(report.answered == 40 && report.bytesReceived == 40 * 5)
        #expect(report.reconnections == 0 && report.failures.isEmpty)
        await target.stop()
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    ])
    func `connects again where a response ends the connection`(response: String) async throws {
        let target = try await HTTPTarget { _ in .sendAndClose(response) }
        let plan = try target.plan { $0.messages = 30 }
        let report = try await LoadRun(plan).run()
        #expect(report.answered == 30 && report.unfinished == 0 && report.bytesReceived == 150)
        #expect(Set(target.requests.map(\.connection)).count == 30)
        #expect(report.reconnections >= 28 && report.failedConnections == 0)
        await target.stop()
    }

    @Test func `counts other statuses apart, and leaves their times out`() async throws {
        let target = try await HTTPTarget { request in
            .status([200, 201, 429, 503][request.number % 4])
        }
        let plan = try target.plan {
            $0.messages = 400
            $0.connections = 1
        }
        let report = try await LoadRun(plan).run()
        #expect(report.statuses == ["200": 100, "201": 100, "429": 100, "503": 100])
        #expect(report.answered == 200 && report.refused == 200)
        #expect(report.latencyMicroseconds.count == 200 && report.refusedMicroseconds?.count == 200)
        #expect(report.table.contains("200: 100, 201: 100, 429: 100, 503: 100"))
        #expect(report.bottleneck != "none")
        await target.stop()
    }

    @Test func `takes other statuses for answers where they are expected`() async throws {
        let target = try await HTTPTarget { request in
            request.number % 2 == 0 ? .send("HTTP/1.1 204 X\r\n\r\n") : .status(404)
        }
        let plan = try SendLoadCommand.parse([
            target.url, "--messages", "100", "--rate", "2000", "--expect-status", "2xx, 404",
            "--grace", "60", "--connections", "1",
        ]).plan()
        let report = try await LoadRun(plan).run()
        #expect(report.answered == 100 && report.refused == 0 && report.failures.isEmpty)
        #expect(report.statuses == ["204": 50, "404": 50])
        await target.stop()
    }

    @Test(arguments: [1, 4])
    func `keeps as many requests on a connection as it may`(pipeline: Int) async throws {
        let held = Held()
        let target = try await HTTPTarget { request in
            // Nothing is answered before the last request that fits has come.
            held.count(request.number, until: pipeline) ? .send(held.answers()) : .nothing
        }
        let plan = try target.plan {
            $0.messages = 8
            $0.connections = 1
            $0.http.pipeline = pipeline
        }
        let report = try await LoadRun(plan).run()
        #expect(report.answered == 8 && report.unexpectedAnswers == 0)
        #expect(held.mostAtOnce == pipeline)
        await target.stop()
    }

    @Test func `charges requests that wait for a busy connection from when they were due`()
        async throws
    {
        let gate = Gate()
        let target = try await HTTPTarget { request in
            if request.number == 0 { gate.wait(milliseconds: 200) }
            return .status(200)
        }
        let plan = try target.plan {
            $0.messages = 400
            $0.rate = 1_000
            $0.connections = 1
        }
        let report = try await LoadRun(plan).run()
        #expect(report.answered == 400)
        #expect(report.latencyMicroseconds.p90 >= 100_000)
        #expect(report.latencyMicroseconds.maximum >= 199_000)
        #expect(report.waitedForConnection >= 150)
        await target.stop()
    }

    @Test func `counts requests whose connection was lost, and goes on`() async throws {
        let target = try await HTTPTarget { request in
            request.number % 10 == 5 ? .close : .status(200)
        }
        let plan = try target.plan {
            $0.messages = 100
            $0.connections = 2
        }
        let report = try await LoadRun(plan).run()
        #expect(report.sent == 100 && report.answered == 90 && report.unfinished == 10)
        // The last ones may be made again only after the end.
        #expect(report.failedConnections == 10 && (8...10).contains(report.reconnections))
        #expect(report.bottleneck != "none")
        await target.stop()
    }

    @Test func `fails with a sentence when nobody listens`() async throws {
        try await HTTPTarget().expectNobodyListens()
    }

    @Test func `goes to a socket in the file system`() async throws {
        let folder = try Folder()
        let path = folder("in")
        let topology = Topology("unix") {
            EventStream("in", from: .unix(path: path, as: Numbered.self))
                .sink(.jsonLines(toFile: folder("out.jsonl")))
        }
        let running = try await topology.start(.init())
        let plan = try SendLoadCommand.parse([
            "unix:\(path)", "--messages", "50", "--message", #"{"seq":{{seq}}}"#, "--rate", "2000",
        ]).plan()
        let report = try await LoadRun(plan).run()
        #expect(report.sent == 50 && report.failures.isEmpty)
        try await running.drain()
        let lines = try String(contentsOfFile: folder("out.jsonl"), encoding: .utf8)
        #expect(lines.split(separator: "\n").count == 50)
    }

    struct Numbered: Codable, Sendable {
        let seq: Int
    }

    /// Blocks the target's thread: a server that stands still.
    private final class Gate: Sendable {
        func wait(milliseconds: Int) { usleep(UInt32(milliseconds) * 1_000) }
    }

    /// Requests that wait for their answers.
    private final class Held: Sendable {
        private let state = Mutex((waiting: 0, most: 0))

        var mostAtOnce: Int { state.withLock { $0.most } }

        func count(_ number: Int, until limit: Int) -> Bool {
            state.withLock { state in
                state.waiting += 1
                state.most = max(state.most, state.waiting)
                return state.waiting == limit
            }
        }

        func answers() -> String {
            state.withLock { state in
                defer { state.waiting = 0 }
                let one = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                return String(repeating: one, count: state.waiting)
            }
        }
    }
}
