import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A server speaking HTTP` {
    /// Sends raw text and returns everything until the server closes.
    private func exchange(
        _ text: String, _ change: (inout NetworkServer.Configuration) -> Void = { _ in }
    ) async throws -> (String, ServerCounters) {
        let test = try await TestServer(change)
        let client = try await RawClient.connect(to: test.address, on: test.loop)
        try await client.send(text)
        let answer = await client.receiveText()
        let counters = test.server.counters
        await test.stop()
        return (answer, counters)
    }

    @Test func `serves a static page to GET and only its head to HEAD`() async throws {
        let get = "GET /?x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        let (answer, counters) = try await exchange(get)
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(answer.contains("Content-Type: text/html; charset=utf-8\r\n"))
        #expect(answer.contains("Content-Length: 12\r\n"))
        #expect(answer.hasSuffix("\r\n\r\n<p>hello</p>"))
        #expect(counters.requests == 1)
        let (head, _) = try await exchange(get.replacing("GET", with: "HEAD"))
        #expect(head.hasSuffix("\r\n\r\n") && head.contains("Content-Length: 12\r\n"))
    }

    @Test func `answers requests sent ahead in their order`() async throws {
        let page = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        let missing = "GET /no HTTP/1.1\r\nHost: a\r\n\r\n"
        let last = "GET / HTTP/1.0\r\n\r\n"
        let (answer, counters) = try await exchange(page + missing + page + last)
        let statuses = answer.split(separator: "HTTP/1.1 ").map { $0.prefix(3) }
        #expect(statuses == ["200", "404", "200", "200"])
        #expect(counters.requests == 4)
    }

    @Test func `sends a large page to a client that asks for it many times ahead`() async throws {
        let test = try await TestServer()
        let body = [UInt8](repeating: 0x62, count: 3_000_000)
        test.server.addPage("/large", StaticPage(contentType: "text/plain", body: body))
        let loop = try Loop()
        let client = try await RawClient.connect(to: test.address, on: loop, isReading: false)
        let request = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
        let last = "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        try await client.send(String(repeating: request, count: 4) + last)
        try await client.startReading()
        let got = await client.receive()
        #expect(got.count > 15_000_000 && got.count < 15_001_500)
        await test.stop()
        await loop.stop()
    }

    /// Asks for the last answer of a connection, which is more than the kernel holds.
    private func leave(
        _ test: TestServer, _ header: String
    ) async throws -> (client: RawClient, connection: LoopBound<HTTPServerConnection>) {
        let (answering, loop) = (Recorder<LoopBound<HTTPServerConnection>>(), test.loop)
        let page = StaticPage(
            contentType: "text/plain", body: [UInt8](repeating: 0x62, count: 32 << 20))
        test.server.addResponder("GET", "/large", roles: .read) { _, connection in
            answering.append(LoopBound(connection, on: loop))
            return .reply(page.reply)
        }
        let client = try await RawClient.connect(to: test.address, on: loop, isReading: false)
        try await client.send("GET /large HTTP/1.1\r\nHost: a\r\n\(header)\r\n")
        return (client, await answering.wait(for: 1)[0])
    }

    @Test(arguments: ["Connection: close\r\n", ""])
    func `lets a peer take a large answer at its own pace`(header: String) async throws {
        let test = try await TestServer()
        let (client, connection) = try await leave(test, header)
        try await test.loop.run { #expect(connection.value.tcp.isOpen) }
        try await client.startReading()
        // More than the kernel could take at once.
        _ = await client.receive(count: 16 << 20)
        // The time is over, and the peer has read since the last look.
        try await test.loop.run { connection.value.clock.onFire() }
        #expect(await client.receive(count: 32 << 20).count >= 32 << 20)
        #expect(test.server.counters.answerTimeouts == 0)
        await test.stop()
    }

    @Test func `lets a peer that has ended its side take its answer`() async throws {
        let test = try await TestServer()
        let (client, connection) = try await leave(test, "")
        try await client.shutDown()
        while try await test.loop.run({ !connection.value.tcp.hasReachedEnd }) {}
        try await test.loop.run { #expect(connection.value.tcp.isOpen) }
        try await client.startReading()
        #expect(await client.receive().count > 32 << 20)
        await test.stop()
    }

    @Test func `cuts the last answer of a connection when the peer reads no more`() async throws {
        let test = try await TestServer()
        let (client, connection) = try await leave(test, "Connection: close\r\n")
        while test.server.counters.answerTimeouts == 0 {
            try await test.loop.run { connection.value.clock.onFire() }
        }
        try await client.startReading()
        #expect(await client.receive().count < 32 << 20)
        await test.stop()
    }

    static let refusals: [(String, Int)] = [
        ("BLAH\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\u{2}", 400),
        ("GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
        ("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 426),
        ("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("GET /" + String(repeating: "a", count: 20_000), 414),
        ("GET / HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: 200), 431),
    ]

    @Test(arguments: refusals)
    func `refuses with the right status and goes on`(_ text: String, _ status: Int) async throws {
        let (answer, counters) = try await exchange(text)
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        #expect(answer.contains("Connection: close\r\n"))
        if ![404, 405, 426].contains(status) { #expect(counters.protocolErrors == [status: 1]) }
    }

    @Test func `closes a client that dribbles its request`() async throws {
        let (answer, counters) = try await exchange("GET / HT") {
            $0.headTimeout = .seconds(5)
        }
        #expect(answer.hasPrefix("HTTP/1.1 408 "))
        #expect(counters.headTimeouts == 1)
    }

    @Test func `closes a client that says nothing, and one that is idle too long`() async throws {
        let (silence, _) = try await exchange("") { $0.headTimeout = .milliseconds(50) }
        #expect(silence.isEmpty)
        let (answer, _) = try await exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n") {
            $0.keepAliveTimeout = .milliseconds(50)
        }
        #expect(answer.hasPrefix("HTTP/1.1 200 "))
    }

    @Test func `adds and removes routes while it runs`() async throws {
        let test = try await TestServer()
        test.server.addPage("/new", .text("new"))
        let client = try await RawClient.connect(to: test.address, on: test.loop)
        try await client.send("GET /new HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = await client.receive { String(decoding: $0, as: UTF8.self).hasSuffix("new") }
        test.server.removeRoute("/new")
        try await client.send("GET /new HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        let answer = await client.receiveText()
        #expect(answer.contains("HTTP/1.1 404 Not Found"))
        await test.stop()
    }

    @Test func `refuses to start twice`() async throws {
        let test = try await TestServer()
        await #expect(throws: NetworkError.self) { try await test.server.start() }
        await test.stop()
    }
}
