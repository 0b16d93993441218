import HTTPTypes
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A page of state` {
    private func get(_ path: String, _ address: SocketAddress) async throws -> (Int, String) {
        let client = try HTTPClient()
        let answer = try await client.send(.get, "http://\(address)\(path)")
        return (answer.response.status.code, String(decoding: answer.body, as: UTF8.self))
    }

    @Test func `tells what a stage keeps of a key`() async throws {
        let seen = Recorder<Int>()
        let topology = Topology("asked") {
            StatePage("/sum", port: 0, stage: "sums", of: Int.self, as: Int.self)
            StatePage("/name", port: 0, stage: "names", of: String.self, as: [Int].self)
            let readings = EventStream("in", from: .http("/in", port: 0, as: Reading.self))
            readings.keyed(by: \.id)
                .reduce(into: 0, name: "sums") { sum, _ in sum += 1 }
                .map(\.value).sink(seen.sink.named("out"))
            readings.keyed(by: { "id \($0.id)" })
                .reduce(into: [Int](), name: "names") { $0.append($1.id) }
                .map { $0.value.count }.sink(seen.sink.named("other"))
        }
        let running = try await topology.start(.quiet())
        let address = try running.web
        _ = try await PostClient(address).exchange(
            PostClient.last(#"[{"id":7,"value":1},{"id":7,"value":2},{"id":9,"value":1}]"#))
        _ = await seen.wait(for: 6)
        #expect(try await get("/sum?key=7", address) == (200, #"{"key":7,"state":2}"#))
        #expect(
            try await get("/name?x=1&key=id+%37", address)
                == (200, #"{"key":"id 7","state":[7,7]}"#))
        #expect(try await get("/sum?key=8", address).0 == 404)
        #expect(try await get("/sum?key=seven", address).0 == 400)
        #expect(try await get("/sum?key=%3", address).0 == 400)
        #expect(try await get("/sum", address).0 == 400)
        try await running.drain()
    }
}
