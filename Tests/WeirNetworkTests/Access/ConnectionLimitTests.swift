import Foundation
import HTTPTypes
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `Limits on connections` {
    @Test func `count those of one address`() async throws {
        let test = try await TestServer {
            $0.listener.maximumConnectionsPerAddress = 2
            $0.listener.countsLoopback = true
        }
        let first = try await RawClient.connect(to: test.address, on: test.loop)
        let second = try await RawClient.connect(to: test.address, on: test.loop)
        try await first.send(test.handshake())
        try await second.send(test.handshake())
        _ = await test.opened.wait(for: 2)
        let third = try await RawClient.connect(to: test.address, on: test.loop)
        #expect(await third.receive().isEmpty)
        #expect(test.server.counters.addressesRefused == 1)
        #expect(test.server.counters.connectionsRefused == 1)
        try await first.close()
        _ = await test.closures.wait(for: 1)
        while test.server.counters.connectionsOpen > 1 { await Task.yield() }
        let fourth = try await RawClient.connect(to: test.address, on: test.loop)
        try await fourth.send(test.handshake())
        #expect(await test.opened.wait(for: 3).count == 3)
        await test.stop()
    }

    @Test func `of the process do not end accepting`() async throws {
        let folder = try Folder()
        let socket = folder("lines.sock")
        let fixture = try Fixture(openFiles: 48, folder: folder.path, socket: socket)
        let address = try await fixture.address()
        let loop = try Loop()
        var clients: [RawClient] = []
        // Until one is closed at once: the process has no descriptor left, and says so.
        var isRefused = false
        while !isRefused, clients.count < 200 {
            let client = try await RawClient.connect(to: address, on: loop)
            clients.append(client)
            try await client.send("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            isRefused = await client.receive { !$0.isEmpty }.isEmpty
        }
        #expect(isRefused)
        let local = try await RawClient.connect(toUnix: socket, on: loop)
        #expect(await local.receive().isEmpty)
        try await local.close()
        // Others may come as soon as some have gone.
        for client in clients { try await client.close() }
        var status = 0
        while status != 200 {
            let client = try HTTPClient(loop: loop)
            let answer = try? await client.send(.get, "http://\(address)/metrics")
            guard let answer else { continue }
            status = answer.response.status.code
            let text = String(decoding: answer.body, as: UTF8.self)
            let failures = text.split(separator: "\n").first {
                $0.hasPrefix("weir_accept_failures_total")
            }
            #expect(failures?.hasSuffix(" 0") == false)
        }
        await fixture.stop()
        await loop.stop()
    }
}

/// The service of `WeirHTTPFixture` in a process with few descriptors.
private struct Fixture {
    private let process: ChildProcess
    private let lines = Recorder<String?>()

    init(openFiles: Int, folder: String, socket: String) throws {
        let path = Products.path(of: "WeirHTTPFixture")
        process = try ChildProcess(
            "/bin/sh",
            ["-c", "ulimit -n \(openFiles); exec '\(path)' 0 '\(folder)' '\(socket)'"],
            output: .lines { [lines] in lines.append($0) })
    }

    func address() async throws -> SocketAddress {
        let line = try #require(await lines.wait(for: 1)[0])
        let port = try #require(line.split(separator: ":").last.flatMap { Int($0) })
        return try #require(SocketAddress(ip: "127.0.0.1", port: port))
    }

    func stop() async { await process.stop() }
}
