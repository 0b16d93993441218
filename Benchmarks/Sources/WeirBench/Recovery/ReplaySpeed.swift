import CMeasure
import Logging
import Synchronization
import Weir

/// R4: events that came over TCP with acknowledgements are handled again from the ingest journal.
struct ReplaySpeed {
    let runs: Int
    let scale: Double
    let work: WorkDirectory

    func rows() async throws -> [RecoveryRow] {
        let events = max(2_000, Int(1_000_000 * scale))
        var live: [Double] = []
        var replayed: [Double] = []
        for _ in 0..<runs {
            let store = try work.fresh("store")
            live.append(try await AckedIngest.run(store, events: events, sends: true))
            replayed.append(try await AckedIngest.run(store, events: events, sends: false))
        }
        let ratios = zip(live, replayed).map { $0 / $1 }
        let ratio = RecoveryRow(name: "", values: ratios, unit: "").median
        return [
            RecoveryRow(name: "R4  live: TCP, acknowledged", values: live, unit: "ns/event"),
            RecoveryRow(name: "R4  replay from the journal", values: replayed, unit: "ns/event"),
            RecoveryRow(
                name: "R4  replay speed against live speed", values: ratios, unit: "×",
                bar: "≥ 1×", isMet: ratio >= 1),
        ]
    }
}

/// A topology that counts 100-byte lines from a journaled TCP source.
enum AckedIngest {
    /// - Parameter sends: Whether events are sent, or come from the journal of a run before.
    /// - Returns: Nanoseconds per event, until the last one has been handled.
    static func run(_ store: String, events: Int, sends: Bool) async throws -> Double {
        let done = AsyncStream.makeStream(of: Void.self)
        let counted = Counted(events) { done.continuation.finish() }
        let topology = Topology("ingest") {
            EventStream("lines", from: .tcp(port: 0, decoder: .bytes))
                .sink(.forEach { _ in counted.add() })
        }
        var configuration = RunConfiguration(
            store: .directory(store, checkpointEvery: .zero))
        configuration.logger.logLevel = .critical
        let began = cmeasure_now()
        let running = try await topology.start(configuration)
        var sender: AcknowledgedSender?
        if sends {
            guard let address = running.addresses["tcp://127.0.0.1:0"] else {
                throw MeasurementError(description: "the source has no address")
            }
            let connected = try await AcknowledgedSender.connect(
                to: "tcp://\(address)", producer: "bench")
            sender = connected
            let line = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
            for _ in 0..<events { try await connected.send(line) }
            try await connected.waitUntilAcknowledged()
        }
        for await _ in done.stream {}
        let elapsed = cmeasure_now() - began
        await sender?.close()
        running.cancel()
        try? await running.waitUntilFinished()
        return Double(elapsed) / Double(events)
    }

    private final class Counted: Sendable {
        private let count = Atomic<Int>(0)
        private let total: Int
        private let action: @Sendable () -> Void

        init(_ total: Int, _ action: @escaping @Sendable () -> Void) {
            self.total = total
            self.action = action
        }

        func add() {
            if count.add(1, ordering: .relaxed).newValue == total { action() }
        }
    }
}
