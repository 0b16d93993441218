import Logging
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

/// A connection of a source that keeps a rate and whose mailbox may be full.
@Suite(.timeLimit(.minutes(5))) struct `A connection that is too fast and finds no room` {
    private final class StubPeer: IngestPeer {
        var resumed = 0
        var dialect: AcknowledgingDialect { .words }
        func pause() {}
        func resume() { resumed += 1 }
        func send(_ text: String) {}
        func refuse(_ reason: String) {}
        func goAway() {}
    }

    private final class StubIntake: MessageIntake {
        var flow = Flow.proceed
        var sender: NumberedSender?
        let hasFailed = false
        func comesFrom(_ info: ConnectionInfo) {}
        func take(_ message: UnsafeRawBufferPointer, sequence: UInt64) -> Flow { flow }
        func take(_ messages: Messages) -> Flow { flow }
        func pass() -> Flow { flow }
        func connectionClosed() {}
    }

    /// A connection on a loop, with what a test does later.
    private final class World {
        let peer = StubPeer()
        let intake = StubIntake()
        let connection: IngestConnection
        let later: LoopTimer

        init(_ loop: Loop, _ rate: RateLimit) throws {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let gate = AccessGate(
                .open, connectionRate: rate, ServerCounterCells(), logger, loop)
            connection = IngestConnection(
                peer, intake: intake, opening: .plain, origin: "test",
                registry: ProducerRegistry(
                    stage: "test", logger: logger, instruments: RunInstruments()),
                isDurable: false,
                loop: loop, logger: logger, access: gate.makeAccess(nil))
            later = try LoopTimer(on: loop) {}
        }

        /// Five messages in one read.
        func read() -> Flow {
            [UInt8(1)].withUnsafeBytes { bytes in
                for _ in 0..<5 { _ = connection.take(bytes) }
            }
            return connection.pass()
        }

        func close() {
            connection.keepsQuiet()
            later.close()
        }
    }

    @Test func `is not read when its wait is over, before there is room`() async throws {
        let loop = try Loop.shared()
        let resumed = Recorder<Int>()
        let world = try await loop.run {
            let world = try World(loop, RateLimit(eventsPerSecond: 1_000, burst: 1))
            world.intake.flow = .stop
            resumed.append(world.read() == .stop ? 0 : -1)
            // Its wait, of 4 ms, is over before.
            world.later.onFire = { [unowned world] in
                resumed.append(world.peer.resumed)
                world.connection.setFull(false)
                resumed.append(world.peer.resumed)
            }
            world.later.start(after: .milliseconds(50))
            return LoopBound(world, on: loop)
        }
        #expect(await resumed.wait(for: 3) == [0, 0, 1])
        try await loop.run { world.value.close() }
    }

    @Test func `is not read when there is room, before its wait is over`() async throws {
        let loop = try Loop.shared()
        let resumed = try await loop.run {
            let world = try World(loop, RateLimit(eventsPerSecond: 1.0 / 600, burst: 1))
            defer { world.close() }
            guard world.read() == .stop else { return -1 }
            world.connection.setFull(true)
            world.connection.setFull(false)
            return world.peer.resumed
        }
        #expect(resumed == 0)
    }
}
