import Foundation
import Synchronization
import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A loop` {
    actor Counter {
        let loop: Loop
        var count = 0
        nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
        init(_ loop: Loop) { self.loop = loop }
        func add() -> Bool {
            count += 1
            return loop.isOnLoop
        }
        func addBoth(_ other: Counter) async -> Int {
            _ = await other.add()
            _ = add()
            return count
        }
    }

    /// Nothing else keeps a write to a peer that is gone from ending the process.
    @Test func `takes no SIGPIPE`() async throws {
        let loop = try Loop()
        let isBlocked = try await loop.run {
            var signals = sigset_t()
            pthread_sigmask(SIG_BLOCK, nil, &signals)
            return sigismember(&signals, SIGPIPE) == 1
        }
        #expect(isBlocked)
        await loop.stop()
    }

    @Test func `runs actors that are pinned to it on its thread`() async throws {
        let loop = try Loop()
        let counter = Counter(loop)
        for _ in 0..<1_000 { #expect(await counter.add()) }
        let other = Counter(loop)
        #expect(await counter.addBoth(other) == 1_001)
        #expect(!loop.isOnLoop)
        await loop.stop()
    }

    @Test func `loses no job of many threads`() async throws {
        let loop = try Loop()
        let counter = Counter(loop)
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<2_000 { _ = await counter.add() } }
            }
        }
        #expect(await counter.count == 16_000)
        await loop.stop()
    }

    @Test func `keeps the order of one caller's closures`() async throws {
        let loop = try Loop()
        let seen = Recorder<Int>()
        for number in 0..<5_000 { loop.execute { seen.append(number) } }
        #expect(await seen.wait(for: 5_000) == Array(0..<5_000))
        await loop.stop()
    }

    @Test func `gives sockets and timers their turn while jobs beget jobs`() async throws {
        let loop = try Loop()
        let isOver = Atomic<Bool>(false)
        let turns = Recorder<Int>()
        @Sendable func again() {
            if !isOver.load(ordering: .relaxed) { loop.execute { again() } }
        }
        try await loop.run {
            let timer = try LoopTimer(on: loop) { turns.append(1) }
            timer.start(after: .milliseconds(1))
            timer.onFire = { [timer] in
                turns.append(1)
                timer.close()
            }
            again()
        }
        _ = await turns.wait(for: 1)
        isOver.store(true, ordering: .relaxed)
        await loop.stop()
    }

    @Test func `fires timers in order and not after they are closed`() async throws {
        let loop = try Loop()
        let seen = Recorder<Int>()
        try await loop.run {
            for delay in [3, 1, 2] {
                let timer = try LoopTimer(on: loop) {}
                timer.onFire = { [timer] in
                    seen.append(delay)
                    timer.close()
                }
                timer.start(after: .milliseconds(delay * 20))
            }
            let never = try LoopTimer(on: loop) { seen.append(0) }
            never.start(after: .milliseconds(10))
            never.close()
        }
        #expect(await seen.wait(for: 3) == [1, 2, 3])
        await loop.stop()
    }

    @Test func `runs jobs that come after its stop`() async throws {
        let loop = try Loop()
        let counter = Counter(loop)
        await loop.stop()
        await loop.stop()
        for _ in 0..<100 { #expect(await counter.add()) }
        #expect(try await loop.run { 7 } == 7)
        await #expect(throws: NetworkError.self) {
            try await loop.run { _ = try LoopTimer(on: loop) {} }
        }
    }

    @Test func `closes connections when it stops`() async throws {
        let test = try await TestServer()
        let loop = try Loop()
        let client = try await RawClient.connect(to: test.address, on: loop)
        await test.loop.stop()
        #expect(await client.receive().isEmpty)
        await loop.stop()
    }

    @Test func `lets go of a server when it stops`() async throws {
        let gone = Recorder<Bool>()
        func serve() async throws {
            let test = try await TestServer()
            let kept = Kept(gone)
            test.server.addWebSocket("/kept") { _ in .refuse(403, "\(kept.gone.values)") }
            await test.loop.stop()
        }
        try await serve()
        await gone.wait(for: 1)
    }

    @Test func `group hands out its loops in turn`() async throws {
        let group = try LoopGroup(count: 2)
        #expect(group.next() === group.loops[0])
        #expect(group.next() === group.loops[1])
        #expect(group.next() === group.loops[0])
        await group.stop()
        #expect(throws: NetworkError.self) { try LoopGroup(count: 0) }
    }
}
