import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `Back pressure over WebSocket` {
    /// Counts messages and checks their order; full after `limit`.
    final class Slow: WebSocketHandler {
        var limit = 1
        var count = 0
        var isInOrder = true
        var connection: WebSocketConnection?
        let progress: Recorder<Int>
        let target: Int

        init(_ progress: Recorder<Int>, target: Int) {
            self.progress = progress
            self.target = target
        }

        func opened(_ connection: WebSocketConnection) { self.connection = connection }

        func received(
            _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
            on connection: WebSocketConnection
        ) -> Flow {
            isInOrder = isInOrder && bytes.loadUnaligned(as: Int.self) == count
            count += 1
            if count == limit || count == target { progress.append(count) }
            return count >= limit ? .stop : .proceed
        }
    }

    @Test func `stops a fast sender, holds one read buffer at most, loses nothing`() async throws {
        let test = try await TestServer()
        let progress = Recorder<Int>()
        let target = 20_000
        let slow = LoopBound(Slow(progress, target: target), on: test.loop)
        test.server.addWebSocket("/slow") { _ in .accept(slow.value) }
        let loop = try Loop()
        let client = try await RawClient.connect(to: test.address, on: loop)
        try await client.send(test.handshake("/slow"))
        _ = await client.receive { $0.suffix(4) == [13, 10, 13, 10] }
        let refused = Recorder<Int>()
        let sender = Task {
            var sent = 0
            var isRefused = false
            let payload = [UInt8](repeating: 7, count: 2_000)
            var frame = RawFrame(opcode: 2, payload: payload, key: [0, 0, 0, 0]).bytes
            while sent < target {
                let number = sent
                frame.withUnsafeMutableBytes {
                    $0.storeBytes(of: number, toByteOffset: $0.count - 2_000, as: Int.self)
                }
                let taken = try await client.fill(with: frame, atMost: 1)
                if taken > 0 {
                    sent += 1
                } else {
                    // The kernel's buffers and our own queue are full: wait for the reader.
                    if !isRefused { refused.append(sent) }
                    isRefused = true
                    await Task.yield()
                }
            }
        }
        let atRefusal = await refused.wait(for: 1)[0]
        #expect(atRefusal < target)
        #expect(await progress.wait(for: 1) == [1])
        var mostHeld = 0
        for step in 2...100 {
            try await test.loop.run { slow.value.limit = step }
            let handle = try await test.loop.run { slow.value.connection?.handle }
            handle?.resume()
            _ = await progress.wait(for: step)
            let held = try await test.loop.run { slow.value.connection?.heldByteCount ?? 0 }
            mostHeld = max(mostHeld, held)
        }
        #expect(mostHeld > 0 && mostHeld <= LoopScratch.readCapacity + 2_000)
        try await test.loop.run {
            slow.value.limit = .max
            slow.value.connection?.resume()
        }
        try await sender.value
        #expect(await progress.wait(for: 101).last == target)
        #expect(try await test.loop.run { slow.value.isInOrder })
        #expect(try await test.loop.run { slow.value.connection?.heldByteCount } == 0)
        try await client.close()
        await test.stop()
        await loop.stop()
    }

    @Test func `resumes within the callback that said stop`() async throws {
        final class Resuming: WebSocketHandler {
            let got = Recorder<Int>()
            func received(
                _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
                on connection: WebSocketConnection
            ) -> Flow {
                got.append(bytes.count)
                connection.resume()
                return .stop
            }
        }
        let test = try await TestServer()
        let handler = Resuming()
        let got = handler.got
        let bound = LoopBound(handler, on: test.loop)
        test.server.addWebSocket("/resuming") { _ in .accept(bound.value) }
        let client = try await WebSocketClient.connect(
            to: "ws://\(test.address)/resuming", on: test.loop)
        try await client.send(
            (0..<100).map { WebSocketFrame(text: String(repeating: "x", count: $0)) })
        #expect(await got.wait(for: 100) == Array(0..<100))
        await client.close()
        await test.stop()
    }

    /// Sends one shared frame to a peer that does not read until the queue is full.
    private func flood(
        _ policy: WriteOverflowPolicy
    ) async throws -> (ServerCounters, [WebSocketClosure]) {
        let test = try await TestServer {
            $0.webSocket.slowConsumers = policy
            $0.webSocket.writeLimit = 200_000
            $0.webSocket.closeTimeout = .milliseconds(100)
        }
        let client = try await RawClient.connect(
            to: test.address, on: test.loop, isReading: false)
        try await client.send(test.handshake())
        let handle = await test.opened.wait(for: 1)[0]
        let outcomes = Recorder<WriteOutcome>()
        handle.perform { connection in
            let frame = WebSocketFrame(text: String(repeating: "x", count: 50_000))
            var outcome = WriteOutcome.sent
            while outcome == .sent || outcome == .queued { outcome = connection.send(frame) }
            outcomes.append(outcome)
        }
        #expect(await outcomes.wait(for: 1) == [.refused])
        if policy == .disconnect { _ = await test.closures.wait(for: 1) }
        try await client.reset()
        _ = await test.closures.wait(for: 1)
        let result = (test.server.counters, test.closures.values)
        await test.stop()
        return result
    }

    @Test func `disconnects a slow receiver by default and counts it`() async throws {
        let (counters, closures) = try await flood(.disconnect)
        #expect(counters.slowConsumersClosed == 1)
        #expect(closures[0].code == .tryAgainLater)
    }

    @Test func `drops messages for a slow receiver when asked to, and counts them`() async throws {
        let (counters, closures) = try await flood(.dropMessage)
        #expect(counters.slowConsumerDrops == 1)
        #expect(counters.slowConsumersClosed == 0)
        #expect(closures[0].code == .abnormal)
    }

    /// Connects a client, has it send more than the kernel holds, and close.
    private func leave(
        _ url: String, on loop: Loop, _ count: Int, _ closures: Recorder<WebSocketClosure>
    ) async -> WebSocketHandle {
        let opened = Recorder<WebSocketHandle>()
        loop.execute {
            var configuration = WebSocketClientConfiguration()
            configuration.connection.writeLimit = .max
            configuration.connection.closeTimeout = .seconds(3_600)
            WebSocketConnection.connect(
                to: url, on: loop, configuration: configuration, handler: Echo(opened, closures)
            ) { _ in }
        }
        let handle = await opened.wait(for: 1)[0]
        handle.perform { connection in
            var payload = [UInt8](repeating: 7, count: 100_000)
            for number in 0..<count {
                payload.withUnsafeMutableBytes { $0.storeBytes(of: number, as: Int.self) }
                _ = payload.withUnsafeBytes { connection.send($0, .binary) }
            }
            connection.close()
        }
        return handle
    }

    @Test func `holds up a client that closes as long as the server takes what it sent`()
        async throws
    {
        let test = try await TestServer()
        let (progress, count) = (Recorder<Int>(), 400)
        let slow = LoopBound(Slow(progress, target: count), on: test.loop)
        test.server.addWebSocket("/slow") { _ in .accept(slow.value) }
        let loop = try Loop()
        let closures = Recorder<WebSocketClosure>()
        let url = "ws://\(test.address)/slow"
        let client = await leave(url, on: loop, count, closures)
        _ = await progress.wait(for: 1)
        let sent = Recorder<Int>()
        client.perform { sent.append($0.tcp.sentByteCount) }
        let before = await sent.wait(for: 1)[0]
        try await test.loop.run {
            slow.value.limit = count / 2
            slow.value.connection?.resume()
        }
        while sent.values.last == before {
            client.perform { sent.append($0.tcp.sentByteCount) }
            await Task.yield()
        }
        let isOpen = Recorder<Bool>()
        client.perform { connection in
            // The time is over, and the server has taken some since the last look.
            connection.timeIsOver()
            isOpen.append(connection.tcp.isOpen)
        }
        #expect(await isOpen.wait(for: 1) == [true])
        try await test.loop.run {
            slow.value.limit = .max
            slow.value.connection?.resume()
        }
        #expect(await closures.wait(for: 1)[0].wasClean)
        #expect(progress.values.last == count)
        // One that takes nothing any more is left alone.
        try await test.loop.run { slow.value.limit = 0 }
        let stuck = await leave(url, on: loop, count, closures)
        while closures.values.count < 2 {
            stuck.perform { $0.timeIsOver() }
            await Task.yield()
        }
        #expect(!closures.values[1].wasClean)
        await test.stop()
        await loop.stop()
    }

    @Test func `suspends a client's sender until the server reads again`() async throws {
        let test = try await TestServer()
        let progress = Recorder<Int>()
        let target = 300
        let slow = LoopBound(Slow(progress, target: target), on: test.loop)
        test.server.addWebSocket("/slow") { _ in .accept(slow.value) }
        let loop = try Loop()
        let client = try await WebSocketClient.connect(
            to: "ws://\(test.address)/slow", on: loop)
        let sent = Recorder<Int>()
        let sender = Task {
            for number in 0..<target {
                var payload = [UInt8](repeating: 7, count: 100_000)
                payload.withUnsafeMutableBytes { $0.storeBytes(of: number, as: Int.self) }
                try await client.send(payload)
                sent.append(number)
            }
        }
        #expect(await progress.wait(for: 1) == [1])
        #expect(sent.values.count < target)
        try await test.loop.run {
            slow.value.limit = .max
            slow.value.connection?.resume()
        }
        try await sender.value
        #expect(await progress.wait(for: 2).last == target)
        #expect(try await test.loop.run { slow.value.isInOrder })
        await client.close()
        await test.stop()
        await loop.stop()
    }
}
