import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A server with many idle connections` {
    @Test func `owns no buffer for any of them`() async throws {
        let test = try await TestServer { $0.webSocket.pingInterval = .seconds(600) }
        let loop = try Loop()
        var clients: [RawClient] = []
        for _ in 0..<1_000 {
            let (client, _) = try await test.openRaw(on: loop)
            try await client.send(RawFrame.text("hello").bytes)
            clients.append(client)
        }
        let handles = await test.opened.wait(for: clients.count)
        for client in clients {
            _ = await client.receive { $0.suffix(5).elementsEqual("hello".utf8) }
        }
        let bytes = Recorder<Int>()
        for handle in handles {
            handle.perform { bytes.append($0.heldByteCount + $0.queuedByteCount) }
        }
        #expect(await bytes.wait(for: handles.count).allSatisfy { $0 == 0 })
        #expect(test.server.counters.connectionsOpen == clients.count)
        for client in clients { try await client.close() }
        _ = await test.closures.wait(for: clients.count)
        await test.stop()
        #expect(test.server.counters.connectionsOpen == 0)
        await loop.stop()
    }
}
