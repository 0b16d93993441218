import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

private let quick = ReconnectionPolicy(
    firstPause: .milliseconds(1), longestPause: .milliseconds(20))

/// The test server echoes, so that what a feed or sink sends at the opening comes back.
@Suite(.timeLimit(.minutes(5))) struct `A WebSocket feed` {
    private static func options(opening: [Int] = [1]) -> WebSocketFeedOptions {
        var options = WebSocketFeedOptions()
        options.opening = opening.map { Reading(id: $0, value: 0).json }
        options.reconnection = quick
        return options
    }

    private static func topology(
        _ url: String, _ options: WebSocketFeedOptions, _ seen: Recorder<Reading>
    ) -> Topology {
        Topology("feed") {
            EventStream("in", from: .webSocket(url: url, as: Reading.self, options: options))
                .sink(seen.sink)
        }
    }

    private static func send(_ ids: [Int], over handle: WebSocketHandle) {
        handle.send(ids.map { WebSocketFrame(text: Reading(id: $0, value: 0).json) })
    }

    @Test func `subscribes, and connects again when its server dies and comes back`() async throws {
        let port = try ReservedPort()
        var test = try await TestServer { $0.listener.port = port.number }
        let seen = Recorder<Reading>()
        let running = try await Self.topology(test.url, Self.options(opening: [1, 2]), seen)
            .start(.quiet())
        let first = await test.opened.wait(for: 1)[0]
        _ = await seen.wait(for: 2)
        Self.send([3, 4], over: first)
        #expect(await seen.wait(for: 4).map(\.id) == [1, 2, 3, 4])
        #expect(running.webSocketFeeds["in"]?.isConnected == true)
        await test.stop()
        test = try await TestServer { $0.listener.port = port.number }
        let second = await test.opened.wait(for: 1)[0]
        _ = await seen.wait(for: 6)
        Self.send([5], over: second)
        #expect(await seen.wait(for: 7).map(\.id) == [1, 2, 3, 4, 1, 2, 5])
        let status = try #require(running.webSocketFeeds["in"])
        #expect(status.isConnected && status.connections == 2 && status.failures > 0)
        #expect(status.lastError != nil)
        try await running.drain()
        #expect(await test.closures.wait(for: 1)[0].code == .goingAway)
        await test.stop()
    }

    @Test func `tells a server's reason in one line`() async throws {
        let test = try await TestServer()
        let seen = Recorder<Reading>()
        let running = try await Self.topology(test.url, Self.options(), seen).start(.quiet())
        let handle = await test.opened.wait(for: 1)[0]
        handle.close(.tryAgainLater, reason: "a\n\u{1B}[31mb")
        _ = await test.opened.wait(for: 2)
        let error = try #require(running.webSocketFeeds["in"]?.lastError)
        #expect(error.message == "the feed has closed with 1013: a??[31mb")
        try await running.drain()
        await test.stop()
    }

    @Test func `waits for a server that is not there yet`() async throws {
        let port = try ReservedPort()
        let url = "ws://127.0.0.1:\(port.number)/echo"
        let seen = Recorder<Reading>()
        let running = try await Self.topology(url, Self.options(), seen).start(.quiet())
        let test = try await TestServer { $0.listener.port = port.number }
        #expect(await seen.wait(for: 1).map(\.id) == [1])
        try await running.drain()
        await test.stop()
    }

    @Test func `takes a server for dead that answers no ping`() async throws {
        let test = try await TestServer()
        var options = Self.options()
        options.client.connection.pingInterval = .milliseconds(50)
        options.client.connection.pongTimeout = .milliseconds(50)
        let seen = Recorder<Reading>()
        let running = try await Self.topology(test.url, options, seen).start(.quiet())
        let first = await test.opened.wait(for: 1)[0]
        _ = await seen.wait(for: 1)
        first.perform { $0.pause() }
        _ = await test.opened.wait(for: 2)
        #expect(running.webSocketFeeds["in"]?.lastError?.code == .timedOut)
        try await running.drain()
        await test.stop()
    }

    @Test func `gives the error to its supervisor after the allowed attempts`() async throws {
        let port = try ReservedPort()
        let url = "ws://127.0.0.1:\(port.number)/echo"
        var options = Self.options()
        options.reconnection.attempts = 2
        let seen = Recorder<Reading>()
        let topology = Topology("feed") {
            EventStream("in", from: .webSocket(url: url, as: Reading.self, options: options))
                .supervised(Supervisor(.oneForOne, intensity: 0, within: .seconds(60)))
                .sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        await #expect(throws: (any Error).self) { try await running.waitUntilFinished() }
        #expect(running.webSocketFeeds["in"].map { $0.failures >= 2 } ?? true)
    }

    @Test func `sends malformed messages to the dead letters and goes on`() async throws {
        let test = try await TestServer()
        let seen = Recorder<Reading>()
        let running = try await Self.topology(test.url, Self.options(), seen).start(.quiet())
        let letters = running.recordDeadLetters()
        let server = await test.opened.wait(for: 1)[0]
        _ = await seen.wait(for: 1)
        server.send([WebSocketFrame(text: "not JSON")])
        Self.send([2], over: server)
        #expect(await seen.wait(for: 2).map(\.id) == [1, 2])
        #expect(await letters.wait(for: 1)[0].event as? [UInt8] == Array("not JSON".utf8))
        try await running.drain()
        await test.stop()
    }

    @Test func `says in the handshake what it is told to`() async throws {
        let test = try await TestServer()
        let heads = Recorder<[String]>()
        let handler = LoopBound(Echo(Recorder(), Recorder()), on: test.loop)
        test.server.addWebSocket("/private") { request in
            let token = request.head.headers["Authorization"] ?? "none"
            heads.append([request.head.target, token] + request.subprotocols)
            return .accept(handler.value, subprotocol: "v2")
        }
        var options = Self.options()
        options.client.headers = ["Authorization": "Bearer secret"]
        options.client.subprotocols = ["v1", "v2"]
        let seen = Recorder<Reading>()
        let url = "ws://\(test.address)/private?token=hidden"
        let running = try await Self.topology(url, options, seen).start(.quiet())
        _ = await seen.wait(for: 1)
        #expect(heads.values == [["/private?token=hidden", "Bearer secret", "v1", "v2"]])
        #expect(running.webSocketFeeds["in"]?.url == "ws://\(test.address)/private")
        try await running.drain()
        await test.stop()
    }

    @Test func `refuses headers that would break the handshake`() async throws {
        let test = try await TestServer()
        for headers in [["X": "a\r\nInjected: b"], ["X Y": "a"], ["": "a"]] {
            var configuration = WebSocketClientConfiguration()
            configuration.headers = headers
            let error = await #expect(throws: NetworkError.self) {
                _ = try await WebSocketClient.connect(
                    to: test.url, on: test.loop, configuration: configuration)
            }
            #expect(error?.code == .invalidArgument)
        }
        await test.stop()
    }

    @Test func `writes what it reads to the ingest journal first`() async throws {
        let folder = try Folder()
        let test = try await TestServer()
        let seen = Recorder<Reading>()
        let running = try await Self.topology(test.url, Self.options(), seen)
            .start(.stored(.directory("\(folder.path)/store", checkpointEvery: .zero)))
        let server = await test.opened.wait(for: 1)[0]
        _ = await seen.wait(for: 1)
        Self.send(Array(2...100), over: server)
        #expect(await seen.wait(for: 100).map(\.id) == Array(1...100))
        try await running.drain()
        await test.stop()
    }

    @Test func `is refused at the start when its address is none`() async throws {
        let topology = Self.topology("http://x", Self.options(), Recorder())
        let error = await #expect(throws: NetworkError.self) {
            _ = try await topology.start(.quiet())
        }
        #expect(error?.code == .invalidArgument)
    }
}

@Suite(.timeLimit(.minutes(5))) struct `A WebSocket sink that connects` {
    private static func texts(_ test: TestServer) -> Recorder<String> {
        let (texts, closures) = (Recorder<String>(), test.closures)
        test.server.addWebSocket("/in") { _ in .accept(Listening(texts, closures)) }
        return texts
    }

    private final class Listening: WebSocketHandler {
        let texts: Recorder<String>
        let closures: Recorder<WebSocketClosure>

        init(_ texts: Recorder<String>, _ closures: Recorder<WebSocketClosure>) {
            self.texts = texts
            self.closures = closures
        }

        func received(
            _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
            on connection: WebSocketConnection
        ) -> Flow {
            texts.append(String(decoding: bytes, as: UTF8.self))
            return .proceed
        }

        func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
            closures.append(closure)
        }
    }

    @Test func `goes on when its server dies and comes back`() async throws {
        var test = try await TestServer()
        let port = test.address.port
        var texts = Self.texts(test)
        var options = WebSocketClientSinkOptions()
        options.opening = ["hello"]
        options.reconnection = quick
        options.client.connection.compression = WebSocketCompression()
        let (events, input) = AsyncStream.makeStream(of: Reading.self)
        let topology = Topology("sink") {
            EventStream("readings", from: .sequence(events))
                .sink(.webSocket(url: "ws://127.0.0.1:\(port)/in", options: options))
        }
        let running = try await topology.start(.quiet())
        input.yield(Reading(id: 1, value: 1))
        #expect(await texts.wait(for: 2) == ["hello", #"{"id":1,"value":1}"#])
        await test.stop()
        // Nothing listens there now: the sink waits for whoever comes.
        input.yield(Reading(id: 2, value: 2))
        test = try await TestServer { $0.listener.port = port }
        texts = Self.texts(test)
        #expect(await texts.wait(for: 2) == ["hello", #"{"id":2,"value":2}"#])
        input.finish()
        try await running.waitUntilFinished()
        #expect(await test.closures.wait(for: 1)[0].code == .normal)
        await test.stop()
    }

    @Test func `refuses to start without a server`() async throws {
        let test = try await TestServer()
        await test.stop()
        let topology = Topology("alone") {
            EventStream("readings", from: .collection([Reading(id: 1, value: 1)]))
                .sink(.webSocket(url: test.url))
        }
        let error = await #expect(throws: NetworkError.self) {
            _ = try await topology.start(.quiet())
        }
        #expect(error?.code == .connectionRefused)
    }
}

@Suite struct `Pauses before a connection is made again` {
    @Test func `double, vary by half and end at the longest`() throws {
        var random = SplitMix64(seed: 1)
        var reconnection = Reconnection(
            ReconnectionPolicy(firstPause: .seconds(1), longestPause: .seconds(6)))
        for pause in [1.0, 2, 4, 6, 6] {
            let next = reconnection.next(using: &random)
            let found = try #require(next)
            #expect(found >= .seconds(pause * 0.5) && found <= .seconds(min(pause * 1.5, 6)))
        }
        reconnection.succeeded()
        let first = reconnection.next(using: &random)
        let again = try #require(first)
        #expect(again >= .milliseconds(500) && again <= .milliseconds(1_500))
    }

    @Test func `are never none at all`() {
        var random = SplitMix64(seed: 3)
        var reconnection = Reconnection(ReconnectionPolicy(firstPause: .zero, longestPause: .zero))
        let pause = reconnection.next(using: &random)
        #expect(pause == .milliseconds(1))
    }

    @Test func `end after the allowed attempts in a row`() {
        var random = SplitMix64(seed: 2)
        var reconnection = Reconnection(ReconnectionPolicy(attempts: 3))
        var pauses = (0..<2).map { _ in reconnection.next(using: &random) }
        reconnection.connected()
        pauses += (0..<3).map { _ in reconnection.next(using: &random) }
        #expect(pauses.map { $0 != nil } == [true, true, true, true, false])
    }
}
