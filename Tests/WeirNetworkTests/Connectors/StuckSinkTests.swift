import CLibUV
import Foundation
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

/// Sinks whose receiver takes nothing any more.
@Suite(.timeLimit(.minutes(5))) struct `Sinks to a receiver that is stuck` {
    /// Runs a sink against `source`, whose stage is paused, until nothing goes on, and cancels it.
    private func cancel(
        _ source: Source<Reading>, _ sink: (RunningTopology) throws -> Sink<Reading>
    ) async throws {
        let receiver = Topology("receiving") {
            EventStream("in", from: source).mailbox(.bounded(8)).sink(.discard)
        }
        let receiving = try await receiver.start(.quiet(batchSize: 8))
        try #require(receiving.stage("in")).pause()
        let sink = try sink(receiving)
        let sending = Topology("sending") {
            EventStream(
                "out",
                from: Source("readings") { inlet in
                    let batch = Batch(ContiguousArray((0..<512).map { Reading(id: $0, value: 1) }))
                    while true { try await inlet.send(batch) }
                }
            ).sink(sink)
        }
        let running = try await sending.start(.quiet())
        // The kernel's buffers take some: the same number often in a row is taken for the end. If
        // it were not, the test would cancel a sink that is not stuck yet, and pass.
        var (before, same) = (0, 0)
        while same < 1_000 {
            await Task.yield()
            let count = try #require(running.status().stage("out")).eventsOut
            same = count == before && count > 0 ? same + 1 : 0
            before = count
        }
        running.cancel()
        try await running.waitUntilFinished()
        receiving.cancel()
        try await receiving.waitUntilFinished()
    }

    @Test func `end with their run, by TCP`() async throws {
        try await cancel(.tcp(port: 0)) { .tcp(host: "127.0.0.1", port: try $0.tcp.port) }
    }

    @Test func `end with their run, by WebSocket`() async throws {
        try await cancel(.webSocket("/in", port: 0)) {
            .webSocket(url: "ws://\(try $0.web)/in")
        }
    }

    @Test func `end with their run, by Unix socket`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        try await cancel(.unix(path: path)) { _ in .unix(path: path) }
    }

    @Test func `end with their run, by datagrams to a Unix socket`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        try await cancel(.unixDatagrams(path: path)) { _ in .unixDatagrams(path: path) }
    }
}

/// Connecting to somebody who says nothing.
@Suite(.timeLimit(.minutes(5))) struct `Clients of a server that says nothing` {
    /// Connects, and cancels that once the connection has been accepted.
    private func cancel(_ connect: @escaping @Sendable (Int) async throws -> Void) async throws {
        let any = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let listener = any.withSockaddr { cuv_listen($0, 8) }
        #expect(listener >= 0)
        defer { close(listener) }
        var storage = sockaddr_storage()
        #expect(cuv_local_address(listener, &storage) == 0)
        let address = withUnsafeBytes(of: &storage) { bytes in
            bytes.baseAddress.flatMap { SocketAddress($0.assumingMemoryBound(to: sockaddr.self)) }
        }
        let port = try #require(address).port
        let task = Task { try await connect(port) }
        var accepted: Int32 = -1
        while accepted < 0 {
            accepted = cuv_accept(listener)
            await Task.yield()
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        close(accepted)
    }

    @Test func `give up when they are cancelled, by WebSocket`() async throws {
        try await cancel { port in
            var configuration = WebSocketClientConfiguration()
            configuration.connectTimeout = .seconds(3_600)
            _ = try await WebSocketClient.connect(
                to: "ws://127.0.0.1:\(port)/", configuration: configuration)
        }
    }

    @Test func `give up when they are cancelled, by TLS`() async throws {
        let tls = try TLSClientContext(TLSClientConfiguration())
        try await cancel { port in
            _ = try await TCPClient.connect(
                host: "127.0.0.1", port: port, tls: tls, on: Loop.shared())
        }
    }

    @Test func `give up when they are cancelled, by the acknowledging protocol`() async throws {
        try await cancel { port in
            var configuration = AcknowledgedSender.Configuration()
            configuration.connectTimeout = .seconds(3_600)
            _ = try await AcknowledgedSender.connect(
                to: "tcp://127.0.0.1:\(port)", producer: "till", configuration: configuration)
        }
    }
}
