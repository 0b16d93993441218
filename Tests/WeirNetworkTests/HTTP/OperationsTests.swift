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
