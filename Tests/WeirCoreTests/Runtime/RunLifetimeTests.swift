import Foundation
import Testing

@testable import WeirCore

@Suite(.timeLimit(.minutes(1))) struct `A run that is over` {
    private static var configuration: RunConfiguration {
        var configuration = RunConfiguration()
        configuration.metricsInterval = .zero
        return configuration
    }

    private static func topology(
        _ name: String, _ transform: (EventStream<Int>) -> EventStream<Int>
    ) -> Topology {
        Topology(name) {
            transform(EventStream("numbers", from: .collection(0..<100))).map { $0 + 1 }
                .sink(.discard)
        }
    }

    /// One for each way in which an operator is known to its stage.
    private static let topologies = [
        topology("participant") {
            $0.keyed { $0 % 5 }.window(.tumbling(.seconds(10)).processingTime).aggregate(.count())
                .map(\.value)
        },
        topology("barrier") { $0.keyed { $0 % 5 }.latestPerCheckpoint().map(\.element) },
        topology("async") { $0.mapAsync(inFlight: 4) { $0 } },
        topology("timer") { $0.debounce(.milliseconds(1)) },
        topology("chunks") { $0.chunked(count: 3).map { $0.count } },
    ]

    /// Waits for what all parts of a run refer to.
    private func waitUntilGone(_ environment: () async throws -> RunEnvironment) async throws {
        weak let rest = try await environment()
        while rest != nil { await Task.yield() }
    }

    @Test(arguments: topologies) func `leaves nothing behind`(topology: Topology) async throws {
        try await waitUntilGone {
            let running = try await topology.start(Self.configuration)
            try await running.waitUntilFinished()
            return running.environment
        }
    }

    @Test func `leaves nothing behind when its store cannot be opened`() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/weir-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var configuration = Self.configuration
        configuration.store = .directory(folder, checkpointEvery: .zero, from: .checkpoint(7))
        try await waitUntilGone { [configuration] in
            let running = RunningTopology(
                topology: Self.topology("missing") { $0 }, configuration: configuration)
            await #expect(throws: StoreError.self) { try await running.launch([]) }
            return running.environment
        }
    }
}
