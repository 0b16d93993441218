import Foundation
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `The Python client of the specification` {
    private static let python = ["/usr/bin/python3", "/usr/local/bin/python3"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    private func code() throws -> String {
        var path = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { path.deleteLastPathComponent() }
        let text = try String(
            contentsOf: path.appendingPathComponent("docs/acknowledging-protocol.md"),
            encoding: .utf8)
        let rest = try #require(text.components(separatedBy: "```python\n").last)
        return try #require(rest.components(separatedBy: "```").first)
    }

    @Test(.enabled(if: python != nil))
    func `sends each line once while the server restarts`() async throws {
        let folder = try Folder()
        let count = 20_000
        try code().write(
            toFile: "\(folder.path)/client.py", atomically: true, encoding: .utf8)
        try (1...count).map { Reading(id: $0, value: 1).json + "\n" }.joined().write(
            toFile: "\(folder.path)/events", atomically: true, encoding: .utf8)
        let file = "\(folder.path)/out.jsonl"
        let store = StateStore.directory("\(folder.path)/store", checkpointEvery: .milliseconds(50))
        let port = try ReservedPort()
        func topology(_ seen: Recorder<Int>) -> Topology {
            Topology("python") {
                EventStream("in", from: .tcp(port: port.number, as: Reading.self))
                    .map { reading in
                        seen.append(reading.id)
                        return reading
                    }
                    .sink(.transactionalJSONLines(toFile: file))
            }
        }
        let seen = Recorder<Int>()
        var running = try await topology(seen).start(.stored(store))
        let client = try ChildProcess(
            try #require(Self.python),
            [folder("client.py"), "127.0.0.1", "\(port.number)", "python", folder("events")])
        _ = await seen.wait(for: count / 2)
        running.cancel()
        try? await running.waitUntilFinished()
        running = try await topology(Recorder()).start(.stored(store))
        #expect(await client.waitForEnd().status == 0)
        try await running.drain()
        let ids = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
            try JSONDecoder().decode(Reading.self, from: Data($0.utf8)).id
        }
        #expect(ids.elementsEqual(1...count))
    }
}
