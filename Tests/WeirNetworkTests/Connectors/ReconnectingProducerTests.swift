import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A producer that connects again` {
    private func message(_ sequence: Int) -> String {
        "\(sequence) \(Reading(id: sequence, value: 0).json)\n"
    }

    /// What has come is read when the loop has turned.
    private func turn(_ loop: Loop) async throws {
        for _ in 0..<5 { try await loop.run {} }
    }

    @Test(arguments: [true, false], [true, false])
    func `while there is no room has each event come once`(
        drains: Bool, isUnix: Bool
    ) async throws {
        let seen = Recorder<Int>()
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        let running = try await Topology("again") {
            EventStream(
                "in",
                from: isUnix
                    ? .unix(path: path, as: Reading.self) : .tcp(port: 0, as: Reading.self)
            )
            .mailbox(.bounded(4)).map(\.id).sink(seen.sink)
        }.start(.quiet(batchSize: 4))
        let stage = try #require(running.stage("in"))
        stage.pause()
        let loop = try Loop.shared()
        func connect() async throws -> RawClient {
            if isUnix { return try await RawClient.connect(toUnix: path, on: loop) }
            return try await RawClient.connect(to: try running.tcp, on: loop)
        }
        func begin(_ client: RawClient) async throws -> Int {
            try await client.send("WEIR-ACK/1 p\n")
            let answer = await client.receive { $0.last == 10 }
            let text = String(decoding: answer, as: UTF8.self).dropFirst(4)
            return try #require(Int(text.prefix { $0 != "\n" }))
        }
        let count = 64
        let first = try await connect()
        #expect(try await begin(first) == 0)
        // One read brings all of it, of which a batch goes in and a batch waits.
        try await first.send((1...count).map(message).joined())
        try await turn(loop)
        let second = try await connect()
        let safe = try await begin(second)
        #expect(safe < count)
        try await second.send((safe + 1...count).map(message).joined())
        try await turn(loop)
        if !drains {
            stage.resume()
            _ = await seen.wait { $0.contains(count) }
            _ = await second.receive {
                String(decoding: $0, as: UTF8.self).contains("ACK \(count)\n")
            }
        }
        try await running.drain()
        let all = seen.values
        #expect(Set(all).count == all.count, "\(all.count) events")
        #expect(drains || Set(all) == Set(1...count))
        for client in [first, second] { try await client.close() }
    }
}
