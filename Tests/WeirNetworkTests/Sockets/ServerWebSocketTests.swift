import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A WebSocket server and client` {
    @Test func `echo text, binary and batches in order`() async throws {
        let test = try await TestServer()
        let loop = try Loop()
        let got = Recorder<String>()
        let closed = Recorder<WebSocketClosure>()
        let client = try await WebSocketClient.connect(to: test.url, on: loop) { bytes, kind in
            got.append((kind == .text ? "t:" : "b:") + String(decoding: bytes, as: UTF8.self))
            return .proceed
        } onClose: {
            closed.append($0)
        }
        try await client.send("héllo")
        try await client.send([0x62, 0x63])
        try await client.send((0..<1_000).map { WebSocketFrame(text: "m\($0)") })
        let all = await got.wait(for: 1_002)
        #expect(all[..<2] == ["t:héllo", "b:bc"])
        #expect(all[2...] == ArraySlice((0..<1_000).map { "t:m\($0)" }))
        await client.close(.normal, reason: "done")
        let mine = await closed.wait(for: 1)[0]
        #expect(mine.code == .normal && mine.wasClean)
        let theirs = await test.closures.wait(for: 1)[0]
        #expect(theirs.code == .normal && theirs.reason == "done" && theirs.wasClean)
        await #expect(throws: NetworkError.self) { try await client.send("late") }
        #expect(test.server.counters.messagesIn == 1_002)
        #expect(test.server.counters.messagesOut == 1_002)
        await test.stop()
        await loop.stop()
    }

    @Test(arguments: [0, 1, 125, 126, 65_535, 65_536, 1_048_576])
    func `echo messages of every length class`(_ size: Int) async throws {
        let test = try await TestServer()
        let got = Recorder<[UInt8]>()
        let client = try await WebSocketClient.connect(to: test.url, on: test.loop) { bytes, _ in
            got.append(Array(bytes))
            return .proceed
        }
        let message = [UInt8](repeating: 0x5A, count: size)
        try await client.send(message)
        #expect(await got.wait(for: 1) == [message])
        await client.close()
        await test.stop()
    }

    @Test func `agree on a subprotocol, and say why a handshake fails`() async throws {
        let test = try await TestServer()
        var configuration = WebSocketClientConfiguration()
        configuration.subprotocols = ["a", "b"]
        let client = try await WebSocketClient.connect(
            to: test.url, on: test.loop, configuration: configuration)
        let handle = await test.opened.wait(for: 1)[0]
        let chosen = Recorder<String?>()
        handle.perform { chosen.append($0.subprotocol) }
        #expect(await chosen.wait(for: 1) == ["b"])
        test.server.addWebSocket("/no") { _ in .refuse(403, "not for you") }
        let error = await #expect(throws: NetworkError.self) {
            _ = try await WebSocketClient.connect(to: "ws://\(test.address)/no", on: test.loop)
        }
        #expect(error?.code == .protocolViolation)
        #expect(error?.cause?.contains("403") == true)
        await client.close()
        await test.stop()
    }

    @Test func `end with 1001 when the server stops`() async throws {
        let test = try await TestServer()
        let loop = try Loop()
        let closed = Recorder<WebSocketClosure>()
        let client = try await WebSocketClient.connect(
            to: test.url, on: loop, onClose: { closed.append($0) })
        await test.server.stop()
        #expect(await closed.wait(for: 1)[0].code == .goingAway)
        #expect(test.server.counters.connectionsOpen == 0)
        await client.close()
        await test.loop.stop()
        await loop.stop()
    }

    struct Breach: Sendable {
        let name: String
        let frames: [RawFrame]
        let code: UInt16
    }

    static let breaches = [
        Breach(name: "reserved bit", frames: [RawFrame(reserved: 4, opcode: 1)], code: 1_002),
        Breach(name: "opcode 3", frames: [RawFrame(opcode: 3)], code: 1_002),
        Breach(name: "unmasked", frames: [RawFrame(opcode: 1, key: nil)], code: 1_002),
        Breach(name: "bad text", frames: [RawFrame(opcode: 1, payload: [0xFF])], code: 1_007),
        Breach(name: "too long", frames: [RawFrame(opcode: 2, announced: 1 << 40)], code: 1_009),
        Breach(name: "bad close code", frames: [.close(1_005)], code: 1_002),
    ]

    @Test(arguments: breaches)
    func `give a breach its close code, then end the connection`(_ breach: Breach) async throws {
        let test = try await TestServer()
        let (client, answer) = try await test.openRaw(on: test.loop)
        try await client.send(RawFrame.text("ok").bytes + breach.frames.flatMap(\.bytes))
        let got = Array(await client.receive().dropFirst(answer))
        let seen = parse([got], role: .client)
        #expect(seen.first == .text("ok"))
        guard case .close(let code, _) = seen.last else {
            Issue.record("no close frame for \(breach.name): \(seen)")
            return
        }
        #expect(code == breach.code)
        #expect(test.server.counters.protocolErrors == [Int(breach.code): 1])
        let (second, _) = try await test.openRaw(on: test.loop)
        try await second.close()
        await test.stop()
    }

    @Test func `answer pings and close frames of a raw peer`() async throws {
        let test = try await TestServer()
        let (client, answer) = try await test.openRaw(on: test.loop)
        let frames = [
            RawFrame(opcode: 9, payload: [1, 2]), .text("a", final: false),
            RawFrame(opcode: 9), RawFrame(opcode: 0, payload: [0x62]), .close(3_000),
        ]
        try await client.send(frames.flatMap(\.bytes))
        let got = Array(await client.receive().dropFirst(answer))
        #expect(
            parse([got], role: .client)
                == [.pong([1, 2]), .pong([]), .text("ab"), .close(3_000, "")])
        await test.stop()
    }

    @Test func `notice a peer that goes without a word`() async throws {
        let test = try await TestServer()
        let (first, _) = try await test.openRaw(on: test.loop)
        try await first.reset()
        #expect(await test.closures.wait(for: 1)[0].code == .abnormal)
        let (second, _) = try await test.openRaw(on: test.loop)
        try await second.endSending()
        #expect(await test.closures.wait(for: 2)[1].code == .abnormal)
        await test.stop()
    }

    @Test func `ping a quiet peer and drop it when it does not answer`() async throws {
        let test = try await TestServer {
            $0.webSocket.pingInterval = .milliseconds(40)
            $0.webSocket.pongTimeout = .milliseconds(40)
        }
        let (client, answer) = try await test.openRaw(on: test.loop)
        let got = Array(await client.receive().dropFirst(answer))
        #expect(parse([got], role: .client) == [.ping([]), .close(1_001, "no pong")])
        #expect(await test.closures.wait(for: 1)[0].error?.code == .timedOut)
        await test.stop()
    }

    @Test func `end a close handshake that the peer does not answer`() async throws {
        let test = try await TestServer { $0.webSocket.closeTimeout = .milliseconds(40) }
        let (client, _) = try await test.openRaw(on: test.loop)
        await test.opened.wait(for: 1)[0].close(.goingAway)
        #expect(await test.closures.wait(for: 1)[0].wasClean == false)
        _ = await client.receive()
        await test.stop()
    }
}
