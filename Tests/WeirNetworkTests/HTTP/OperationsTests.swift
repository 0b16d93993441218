import CLibUV
import Foundation
import HTTPTypes
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `The pages for operations` {
    private func get(_ path: String, _ address: SocketAddress) async throws -> (Int, String) {
        let client = try HTTPClient()
        let answer = try await client.send(.get, "http://\(address)\(path)")
        return (answer.response.status.code, String(decoding: answer.body, as: UTF8.self))
    }

    private func start(_ seen: Recorder<Int>) async throws -> RunningTopology {
        let topology = Topology("shop \"1\"") {
            ServerSettings.patient()
            Operations(port: 0, prefix: "/ops/")
            EventStream("in", from: .http("/in", port: 0, as: Reading.self))
                .filter { $0.id > 0 }.map(\.id).sink(seen.sink.named("out"))
        }
        return try await topology.start(.quiet())
    }

    @Test func `tell health, readiness, metrics and the graph`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(seen)
        let address = try running.web
        #expect(try await get("/ops/healthz", address) == (200, #"{"status":"ok"}"#))
        var ready = try await get("/ops/readyz", address).0
        while ready == 503 { ready = try await get("/ops/readyz", address).0 }
        #expect(ready == 200)
        _ = try await PostClient(address).exchange(
            PostClient.last(#"[{"id":0,"value":1},{"id":1,"value":1}]"#))
        _ = await seen.wait(for: 1)
        let (_, metrics) = try await get("/ops/metrics", address)
        let label = #"{topology="shop \"1\"",stage="#
        #expect(metrics.contains("# TYPE weir_events_in_total counter\n"))
        #expect(metrics.contains("weir_events_in_total\(label)\"in\"} 2\n"))
        #expect(metrics.contains("weir_mailbox_capacity\(label)\"out\"} "))
        #expect(metrics.contains("weir_http_requests_total{server=\"http://127.0.0.1:0\"} "))
        #expect(
            metrics.split(separator: "\n").allSatisfy { $0.hasPrefix("#") || $0.contains("} ") })
        let (status, graph) = try await get("/ops/topology", address)
        #expect(status == 200)
        let description = try JSONDecoder().decode(
            TopologyDescription.self, from: Data(graph.utf8))
        #expect(description.stages.map(\.name) == ["in", "out"])
        #expect(description.stages[0].operators == ["http", "filter", "map"])
        #expect(description.edges.map(\.to) == ["out"])
        #expect(description.status.stage("in")?.eventsIn == 2)
        try await running.drain()
    }

    @Test func `count the connections of other sources, and those they refuse`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        var unix = UnixSocketOptions()
        unix.maximumConnections = 1
        let topology = Topology("counted") { [unix] in
            Operations(port: 0)
            ServerSettings(host: "localhost", port: 0) { $0.listener.maximumConnections = 1 }
            EventStream("tcp", from: .tcp(host: "localhost", port: 0, as: Reading.self))
                .sink(.discard)
            EventStream("unix", from: .unix(path: path, as: Reading.self, options: unix))
                .sink(.discard)
        }
        let running = try await topology.start(.quiet())
        let address = try #require(running.addresses["tcp://localhost:0"])
        let loop = try Loop.shared()
        let clients = [
            try await RawClient.connect(to: address, on: loop),
            try await RawClient.connect(to: address, on: loop),
        ]
        let descriptors = [cuv_unix_connect(path, 0), cuv_unix_connect(path, 0)]
        #expect(descriptors.allSatisfy { $0 >= 0 })
        try await clients[0].send("nonsense\n")
        #expect(write(descriptors[0], "nonsense\n", 9) == 9)
        for name in ["tcp://localhost:0", "unix:\(path)"] {
            func count(_ metric: String, _ number: Int) -> String {
                "\(metric){server=\"\(name)\"} \(number)\n"
            }
            let refused = count("weir_connections_refused_total", 1)
            let received = count("weir_network_in_bytes_total", 9)
            var metrics = ""
            while !metrics.contains(refused) || !metrics.contains(received) {
                metrics = try await get("/metrics", running.web).1
            }
            #expect(metrics.contains(count("weir_connections", 1)))
            #expect(metrics.contains(count("weir_connections_accepted_total", 1)))
        }
        for descriptor in descriptors { close(descriptor) }
        for client in clients { try? await client.close() }
        try await running.drain()
    }

    /// The names of the metrics in a text.
    private func names(_ text: String) -> Set<String> {
        Set(text.matches(of: /TYPE ([a-z_]+)/).map { String($0.1) })
    }

    @Test func `have the metrics of the store, of what was taken in and of feeds`() async throws {
        let (folder, feed, seen) = (try Folder(), try await TestServer(), Recorder<Int>())
        let topology = Topology("stored") {
            ServerSettings.patient()
            Operations(port: 0)
            EventStream("in", from: .http("/in", port: 0, as: Reading.self)).map(\.id)
                .sink(seen.sink)
            EventStream("feed", from: .webSocket(url: feed.url, as: Reading.self)).sink(.discard)
        }
        var configuration = RunConfiguration.quiet()
        configuration.store = .directory(folder.path, checkpointEvery: .zero)
        let running = try await topology.start(configuration)
        let address = try running.web
        _ = await feed.opened.wait(for: 1)
        let client = try await PostClient(address)
        _ = try await client.exchange(PostClient.last(#"[{"id":1,"value":1}]"#))
        _ = await seen.wait(for: 1)
        _ = try await running.checkpoint()
        let (_, metrics) = try await get("/metrics", address)
        let topologyLabel = #"topology="stored""#
        for sample in [
            "weir_checkpoints_total{\(topologyLabel)} 1",
            "weir_checkpoint_seconds_count{\(topologyLabel)} 1",
            "weir_checkpoint_failures_total{\(topologyLabel)} 0",
            "weir_ingest_records_total{\(topologyLabel),stage=\"in\"} 1",
            "weir_ingest_commit_seconds_count{\(topologyLabel),stage=\"in\"} 1",
            "weir_ingest_blocked{\(topologyLabel),stage=\"in\"} 0",
            "weir_feed_connected{\(topologyLabel),stage=\"feed\"} 1",
            "weir_feed_connections_total{\(topologyLabel),stage=\"feed\"} 1",
            "weir_connection_up{\(topologyLabel),stage=\"feed\",kind=\"webSocket\"} 1",
        ] {
            #expect(metrics.contains("\n\(sample)\n"), "\(sample) in \(metrics)")
        }
        // Each sample once, and each family together.
        let samples = metrics.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .map { $0.prefix(upTo: $0.lastIndex(of: " ") ?? $0.endIndex) }
        #expect(Set(samples).count == samples.count)
        #expect(metrics.matches(of: /TYPE weir/).count == names(metrics).count)
        #expect(names(running.prometheusText()).isSubset(of: names(metrics)))
        try await running.drain()
        await feed.stop()
    }

    @Test func `have the restarts of a supervised process`() {
        func text(_ environment: [String: String]) -> String {
            var text = PrometheusText()
            ProcessRestarts { environment[$0] }.addMetrics(to: &text)
            return text.text
        }
        #expect(
            text(["WEIR_WORKER": "1", "WEIR_RESTARTS": "3"]).hasSuffix(
                "# TYPE weir_process_restarts_total counter\nweir_process_restarts_total 3\n"))
        #expect(text(["WEIR_WORKER": "1"]) == "")
        #expect(text(["WEIR_RESTARTS": "3"]) == "")
    }

    @Test func `say while it drains that nothing more should come`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(seen)
        let address = try running.web
        try #require(running.stage("out")).pause()
        try #require(running.stage("in")).pause()
        let client = try await PostClient(address)
        _ = try await client.exchange(PostClient.last(#"{"id":1,"value":1}"#))
        running.stopSources { _ in true }
        let (status, body) = try await get("/ops/readyz", address)
        #expect(status == 503 && body.contains("sources"))
        #expect(try await get("/ops/healthz", address).0 == 200)
        try await running.drain()
        #expect(seen.values == [1])
    }
}
