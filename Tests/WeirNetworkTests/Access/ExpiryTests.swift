import Logging
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `Credentials that end` {
    /// A gate with connections that were never made: only their names count.
    private final class World {
        let loop: Loop
        let gate: AccessGate
        var connections: [TCPConnection] = []
        var timer: LoopTimer?
        var rounds = 0

        init(_ loop: Loop) {
            self.loop = loop
            gate = AccessGate(
                AccessControl(), connectionRate: nil, ServerCounterCells(),
                Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, loop)
        }

        func watch(for seconds: Int, _ close: @escaping () -> Void) throws {
            let connection = try TCPConnection.unconnected(on: loop)
            connections.append(connection)
            let end = HTTPDate.now() + seconds
            gate.watch(
                connection, Identity("a", roles: .read, method: "test", expiresAt: end), close)
        }

        func close() {
            timer?.close()
            gate.close()
            for connection in connections { connection.close() }
        }
    }

    @Test func `close their connection although others come all the time`() async throws {
        let loop = try Loop.shared()
        let closedIn = Recorder<Int>()
        let world = try await loop.run {
            let world = World(loop)
            try world.watch(for: 0) { [unowned world] in closedIn.append(world.rounds) }
            world.timer = try LoopTimer(on: loop) { [unowned world] in
                world.rounds += 1
                try? world.watch(for: 3_600) {}
                if world.rounds == 30 { closedIn.append(world.rounds) }
            }
            world.timer?.start(after: .milliseconds(100), every: .milliseconds(100))
            return LoopBound(world, on: loop)
        }
        #expect(await closedIn.wait(for: 1)[0] < 30)
        try await loop.run { world.value.close() }
    }
}
