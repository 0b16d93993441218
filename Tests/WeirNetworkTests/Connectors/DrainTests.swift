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
        for id in 0..<count {
            let text = Reading(id: id, value: 1).json
            switch carrier {
            case .tcp: bytes += Array((text + "\n").utf8)
            case .lengths: bytes += [0, 0, 0, UInt8(text.utf8.count)] + Array(text.utf8)
            case .webSocket: bytes += RawFrame.text(text).bytes
            }
        }
        #expect(bytes.count < LoopScratch.readCapacity)
        try await client.send(bytes)
        // What has come is read when the loop has turned.
        for _ in 0..<5 { try await loop.run {} }
        try await running.drain()
        #expect(seen.values == Array(0..<count))
        try await client.close()
    }
}
