import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A source that drains` {
    @Test(arguments: [Carrier.tcp, .lengths, .webSocket])
    func `passes on all it has read, also what waited for room`(carrier: Carrier) async throws {
        let seen = Recorder<Int>()
        let running = try await Topology("last") {
            EventStream("in", from: carrier.source(port: 0)).mailbox(.bounded(4)).map(\.id)
                .sink(seen.sink)
        }.start(.quiet(batchSize: 4))
        try #require(running.stage("in")).pause()
        let (loop, address) = (try Loop.shared(), try carrier.address(running, port: 0))
        let client =
            carrier == .webSocket
            ? try await openRaw(address, "/in")
            : try await RawClient.connect(to: address, on: loop)
        // Less than one read brings.
        let count = 1_500
        var bytes: [UInt8] = []
        var ends: [Int] = []
        for id in 0..<count {
            let text = Reading(id: id, value: 1).json
            switch carrier {
            case .tcp: bytes += Array((text + "\n").utf8)
            case .lengths: bytes += [0, 0, 0, UInt8(text.utf8.count)] + Array(text.utf8)
            case .webSocket: bytes += RawFrame.text(text).bytes
            }
            ends.append(bytes.count)
        }
        #expect(bytes.count < LoopScratch.readCapacity)
        let before = running.bytesReceived
        try await client.send(bytes)
        // The kernel may bring it in pieces, of which the first is too much for the mailbox.
        while running.bytesReceived == before { try await loop.run {} }
        let received = running.bytesReceived - before
        let complete = ends.prefix { $0 <= received }.count
        #expect(complete > 4)
        try await running.drain()
        #expect(seen.values == Array(0..<complete))
        try await client.close()
    }

    @Test func `passes on what it has decrypted`() async throws {
        let certificates = try await Certificates.shared
        let seen = Recorder<Int>()
        let running = try await Topology("last") {
            EventStream(
                "in", from: .tcp(port: 0, tls: certificates.server(), as: Reading.self)
            ).mailbox(.bounded(4)).map(\.id).sink(seen.sink)
        }.start(.quiet(batchSize: 4))
        try #require(running.stage("in")).pause()
        let (loop, address) = (
            try Loop.shared(), try #require(running.addresses["tls://127.0.0.1:0"])
        )
        let client = try await RawClient.connect(
            to: address, on: loop, tls: TLSClientContext(certificates.client()))
        // In one record, which comes as a whole or not at all.
        let lines = (0..<300).map { Reading(id: $0, value: 1).json + "\n" }.joined()
        #expect(lines.utf8.count < 16 << 10)
        let before = running.bytesReceived
        try await client.send(lines)
        while running.bytesReceived < before + lines.utf8.count { try await loop.run {} }
        try await running.drain()
        #expect(seen.values == Array(0..<300))
        try await client.close()
    }

    @Test func `stops all of its servers at one time`() async throws {
        let hosts = ["127.0.0.1", "localhost"]
        let running = try await Topology("pages") {
            for host in hosts {
                ServerSettings(host: host, port: 0) {
                    ($0.headTimeout, $0.stopTimeout) = (.seconds(240), .seconds(240))
                }
                WebPage("/", host: host, port: 0, .text(host))
            }
            EventStream("in", from: .tcp(port: 0, as: Reading.self)).sink(.discard)
        }.start(.quiet())
        let servers = running.environment.resources.all(of: SharedServer.self).map(\.server)
        let loop = try Loop.shared()
        var clients: [RawClient] = []
        for host in hosts {
            let address = try #require(running.addresses["http://\(host):0"])
            clients.append(try await RawClient.connect(to: address, on: loop))
        }
        while servers.contains(where: { $0.counters.connectionsOpen == 0 }) { await Task.yield() }
        async let drained: Void = running.drain()
        // Each is told that the service ends, and none has let go yet.
        for client in clients { #expect(await client.receive().isEmpty) }
        #expect(servers.map(\.counters.connectionsOpen) == [1, 1])
        for client in clients { try await client.close() }
        try await drained
    }
}
