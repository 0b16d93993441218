import Foundation
import Testing
import Weir

@testable import WeirTool

@Suite(.timeLimit(.minutes(5))) struct `A load` {
    @Test func `sends every message once and gets every answer over WebSocket`() async throws {
        let target = try await TestTarget()
        let template = try MessageTemplate(#"{"id":{{seq}}}"#)
        let plan = try target.plan {
            $0.messages = 300
            $0.payload = .templates([template])
        }
        let report = try await LoadRun(plan).run()
        #expect(Set(target.messages) == Set((0..<300).map { #"{"id":\#($0)}"# }))
        #expect(target.messages.count == 300)
        #expect(report.due == 300 && report.sent == 300 && report.answered == 300)
        #expect(report.unsent == 0 && report.unfinished == 0 && report.failures.isEmpty)
        #expect(report.bytesReceived == report.payloadBytesSent)
        #expect(report.connections == 4 && report.failedConnections == 0)
        #expect(report.measured == "echo latency")
        await target.stop()
    }

    @Test func `ends although the target closes before the first message is due`() async throws {
        let loop = try Loop(name: "closing")
        let listener: LoopBound<TCPListener> = try await withCheckedThrowingContinuation {
            continuation in
            loop.execute {
                TCPListener.listen(.init(), on: loop) { connection in
                    connection.close()
                } completion: { result in
                    continuation.resume(
                        with: result.map { LoopBound($0, on: loop) }.mapError { $0 })
                }
            }
        }
        let address = try await loop.run { listener.value.address }
        for _ in 0..<5 {
            var plan = LoadPlan(target: try LoadTarget("tcp://\(address)"))
            (plan.connections, plan.rate, plan.messages) = (1, 1_000, 10)
            // Where even connecting fails, it says so.
            let report = try? await LoadRun(plan).run()
            #expect(report?.answered ?? 0 == 0)
        }
        await loop.stop()
    }

    @Test(arguments: [true, false])
    func `sends lines over TCP, with and without answers`(echoes: Bool) async throws {
        let target = try await TestTarget(
            tcp: LineFraming(), .init(echoes: echoes), wrap: { $0 + [10] })
        let plan = try target.plan {
            $0.messages = 200
            $0.payload = .random(byteCount: 33)
            $0.expectsEcho = echoes
        }
        let report = try await LoadRun(plan).run()
        // All of it has been read when the connections have ended in good order.
        #expect(target.messages.count == 200)
        #expect(target.messages.allSatisfy { $0.utf8.count == 33 })
        #expect(report.sent == 200 && report.payloadBytesSent == 200 * 33)
        #expect(report.answered == (echoes ? 200 : nil))
        #expect(report.measured == (echoes ? "echo latency" : "send delay"))
        #expect(report.unsent == 0 && report.unfinished == 0)
        await target.stop()
    }

    @Test func `sends length-prefixed messages over TCP`() async throws {
        let target = try await TestTarget(
            tcp: LengthFraming(), wrap: { [0, 0, 0, UInt8($0.count)] + $0 })
        let plan = try target.plan {
            $0.messages = 100
            $0.payload = .random(byteCount: 77)
            $0.framing = .length
        }
        let report = try await LoadRun(plan).run()
        #expect(target.messages.count == 100 && report.answered == 100)
        #expect(target.messages.allSatisfy { $0.utf8.count == 77 })
        await target.stop()
    }

    @Test func `times every message once, in percentiles that rise`() async throws {
        let target = try await TestTarget()
        let report = try await LoadRun(try target.plan { $0.messages = 250 }).run()
        for percentiles in [report.latencyMicroseconds, report.generatorLatenessMicroseconds] {
            #expect(percentiles.count == 250)
            let values = [
                percentiles.p50, percentiles.p90, percentiles.p99, percentiles.p999,
                percentiles.maximum,
            ]
            #expect(values == values.sorted())
        }
        // An answer comes after its message, which is never early.
        #expect(report.latencyMicroseconds.p50 >= report.generatorLatenessMicroseconds.p50)
        #expect(report.latencyMicroseconds.p50 > 0 && report.generatorProcessorSeconds > 0)
        await target.stop()
    }

    @Test func `charges a pause of the server to every message that became due in it`() async throws
    {
        let pause = Duration.milliseconds(200)
        let target = try await TestTarget(webSocket: .init(pauseAfterFirst: pause))
        let plan = try target.plan {
            $0.connections = 1
            $0.rate = 1_000
            $0.messages = 400
        }
        let report = try await LoadRun(plan).run()
        #expect(report.answered == 400)
        // The 100 messages of the first 100 ms, a quarter of all, waited for the other 100 ms. A
        // sender that waited for its answers would have timed one slow message.
        #expect(report.latencyMicroseconds.p90 >= 100_000)
        #expect(report.latencyMicroseconds.maximum >= 199_000)
        await target.stop()
    }

    @Test func `counts what a target that stopped reading did not take`() async throws {
        let target = try await TestTarget(
            tcp: LengthFraming(), .init(echoes: false, pauseAfterFirst: .zero), wrap: { $0 })
        let plan = try target.plan {
            $0.connections = 1
            $0.rate = 1_000
            $0.messages = 64
            $0.payload = .random(byteCount: 1_000_000)
            $0.framing = .length
            $0.expectsEcho = false
            $0.grace = .seconds(1)
        }
        let report = try await LoadRun(plan).run()
        #expect(report.due == 64)
        #expect(report.sent + report.unsent == 64)
        #expect(report.unsent > 0 && report.unfinished == 1)
        #expect(report.latencyMicroseconds.count == 64)
        #expect(report.latencyMicroseconds.maximum >= 100_000)
        await target.stop()
    }

    @Test func `ends when the server closes its connections, and says why`() async throws {
        let target = try await TestTarget(webSocket: .init(closesAtFirst: true))
        let plan = try target.plan {
            $0.connections = 1
            $0.messages = 100_000
        }
        let report = try await LoadRun(plan).run()
        #expect(report.failedConnections == 1)
        #expect(report.failures == ["the server closed with 1011 (enough)"])
        #expect(report.due < 100_000 && report.due == report.sent + report.unsent)
        #expect(report.unfinished == report.sent)
        await target.stop()
    }

    @Test func `ends early when it is interrupted, and reports`() async throws {
        let (first, tell) = AsyncStream<Void>.makeStream()
        let target = try await TestTarget(webSocket: .init(onFirst: { tell.finish() }))
        let run = try LoadRun(try target.plan { $0.duration = .seconds(3_000) })
        async let running = run.run()
        for await _ in first {}
        run.interrupt()
        let report = try await running
        #expect(report.wasInterrupted)
        #expect(report.sent >= 1 && report.sent < 6_000_000)
        await target.stop()
    }

    @Test func `fails with a sentence when nobody listens`() async throws {
        try await TestTarget().expectNobodyListens()
    }

    @Test func `writes a report that any JSON reader understands`() async throws {
        let target = try await TestTarget()
        let report = try await LoadRun(try target.plan { $0.messages = 50 }).run()
        let bytes = try JSONEventEncoder(sortedKeys: true).encode(report)
        let read = try JSONDecoder().decode(LoadReport.self, from: Data(bytes))
        #expect(read.sent == 50 && read.answered == 50)
        #expect(read.latencyMicroseconds.p99 == report.latencyMicroseconds.p99)
        #expect(report.table.contains("50 due, 50 sent, 50 answered"))
        await target.stop()
    }
}
