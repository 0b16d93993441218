import CLibUV
import Testing
import WeirTestSupport

@testable import WeirNetwork

/// What a socket's poll tells when nobody waits for bytes.
@Suite(.timeLimit(.minutes(5))) struct `A socket` {
    @Test func `that waits to write and doesn't read notices a reset`() async throws {
        let loop = try Loop()
        let ends = Recorder<NetworkError?>()
        let listener = try await `A TCP listener`.listen(on: loop) { connection in
            connection.handler = Discard(ends: ends)
            connection.writeLimit = 100_000
            let piece = [UInt8](repeating: 0x61, count: 50_000)
            while piece.withUnsafeBytes({ connection.write($0) }) != .refused {}
        }
        let address = try await `A TCP listener`.address(of: listener)
        let client = try await RawClient.connect(to: address, on: loop, isReading: false)
        try await client.reset()
        #expect(await ends.wait(for: 1).last??.code == .connectionLost)
        await loop.stop()
    }

    @Test func `that was reset while it was paused says so when it is read again`() async throws {
        let loop = try Loop()
        let ends = Recorder<NetworkError?>()
        let opened = Recorder<LoopBound<TCPConnection>>()
        let listener = try await `A TCP listener`.listen(on: loop) { connection in
            connection.handler = Discard(ends: ends)
            connection.resumeReading()
            connection.pauseReading()
            opened.append(LoopBound(connection, on: loop))
        }
        let address = try await `A TCP listener`.address(of: listener)
        let client = try await RawClient.connect(to: address, on: loop)
        try await client.send("before")
        let connection = await opened.wait(for: 1)[0]
        try await client.reset()
        try await loop.run {}
        #expect(ends.values.isEmpty)
        try await loop.run { connection.value.resumeReading() }
        #expect(await ends.wait(for: 1).last??.code == .connectionLost)
        await loop.stop()
    }

    @Test func `that is connecting ends with its time, or with its loop`() async throws {
        let any = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        // Nobody accepts, and its queue is full: an attempt gets no answer.
        let silent = any.withSockaddr { cuv_listen($0, 0) }
        defer { cuv_close(silent) }
        let port = try #require(SocketAddress.local(of: silent)).port
        let full = try #require(SocketAddress(ip: "127.0.0.1", port: port))
        let waiting = (0..<4).map { _ in full.withSockaddr { cuv_connect($0) } }
        defer { for descriptor in waiting { cuv_close(descriptor) } }
        let loop = try Loop()
        let ends = Recorder<NetworkError.Code?>()
        @Sendable func connect(within timeout: Duration) async throws {
            try await loop.run {
                TCPConnection.connect(
                    to: "127.0.0.1", port: port, on: loop, timeout: timeout
                ) { result in
                    switch result {
                    case .success: ends.append(nil)
                    case .failure(let error): ends.append(error.code)
                    }
                }
            }
        }
        try await connect(within: .milliseconds(20))
        #expect(await ends.wait(for: 1) == [.timedOut])
        try await connect(within: .seconds(3_600))
        await loop.stop()
        #expect(await ends.wait(for: 2).last == .closed)
    }
}
