import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `Flow into a topology` {
    private static let padding = String(repeating: "x", count: 1_000)

    private static func message(_ id: Int) -> String {
        #"{"id":\#(id),"value":1,"padding":"\#(padding)"}"#
    }

    @Test func `stops reading when the mailbox is full, then brings everything in order`()
        async throws
    {
        let sentMax = 30_000
        let capacity = 256
        let seen = Recorder<Int>()
        let topology = Topology("slow") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self))
                .mailbox(.bounded(capacity))
                .map(\.id)
                .sink(seen.sink)
        }
        let running = try await topology.start(.quiet(batchSize: 64))
        let stage = try #require(running.stage("in"))
        stage.pause()
        let client = try await openRaw(try running.web, "/in")
        var sent = 0
        var refusals = 0
        // Until the kernel's buffers and the client's own queue have been full for long.
        while refusals < 500 {
            let frame = RawFrame(
                opcode: 1, payload: Array(Self.message(sent).utf8), key: [0, 0, 0, 0])
            if try await client.fill(with: frame.bytes, atMost: 1) > 0 {
                sent += 1
                refusals = 0
            } else {
                refusals += 1
                await Task.yield()
            }
            try #require(sent < sentMax)
        }
        // The mailbox, what is gathered before and behind it, and the buffers of two reads.
        let messageBound = capacity + 4 * 64
        let bytesIn = try running.serverCounters.bytesIn
        #expect(bytesIn <= messageBound * 1_050 + 2 * LoopScratch.readCapacity)
        #expect(sent > 2 * messageBound)
        #expect(seen.values.isEmpty)
        stage.resume()
        let count = sent + 500
        while sent < count {
            let frame = RawFrame(
                opcode: 1, payload: Array(Self.message(sent).utf8), key: [0, 0, 0, 0])
            if try await client.fill(with: frame.bytes, atMost: 1) > 0 {
                sent += 1
            } else {
                await Task.yield()
            }
        }
        let all = await seen.wait(for: count)
        #expect(all.elementsEqual(0..<count))
        #expect(running.deadLetters.total == 0)
        try await running.drain()
    }

    @Test(arguments: [1, 100, 500, 2_000])
    func `brings all of one write when the mailbox was full meanwhile and nothing follows`(
        _ count: Int
    ) async throws {
        let seen = Recorder<Int>()
        let topology = Topology("burst") {
            EventStream("in", from: .tcp(port: 0, as: Int.self))
                .mailbox(.bounded(128))
                .sink(seen.sink)
        }
        let running = try await topology.start(.quiet(batchSize: 64))
        let stage = try #require(running.stage("in"))
        stage.pause()
        let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        let lines = (0..<count).map { $0 == 70 ? "seventy" : "\($0)" }
        try await client.send(lines.joined(separator: "\n") + "\n")
        stage.resume()
        let expected = (0..<count).filter { $0 != 70 }
        #expect(await seen.wait(for: expected.count) == expected)
        #expect(running.deadLetters.total == (count > 70 ? 1 : 0))
        try await running.drain()
    }

    @Test func `drains what has been read while a sender goes on, and says 1001`() async throws {
        let seen = Recorder<Int>()
        let topology = Topology("drain") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self))
                .map(\.id).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let input = try await Listener(try running.web, "/in")
        let client = input.client
        let sender = Task {
            var id = 0
            while true {
                try await client.send([WebSocketFrame(text: Self.message(id))])
                id += 1
            }
        }
        _ = await seen.wait(for: 1_000)
        try await running.drain()
        #expect(await input.closures.wait(for: 1)[0].code == .goingAway)
        await #expect(throws: NetworkError.self) { try await sender.value }
        let all = seen.values
        #expect(all.elementsEqual(0..<all.count))
        #expect(running.deadLetters.total == 0)
    }

    @Test func `keeps what connections sent that closed while the mailbox was full`()
        async throws
    {
        let seen = Recorder<Int>()
        let topology = Topology("closed") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self))
                .mailbox(.bounded(4))
                .map(\.id).sink(seen.sink)
        }
        let running = try await topology.start(.quiet(batchSize: 4))
        try #require(running.stage("in")).pause()
        let address = try running.web
        func frames(_ ids: Range<Int>) -> [UInt8] {
            ids.flatMap { RawFrame.text(Reading(id: $0, value: 1).json).bytes }
        }
        let first = try await openRaw(address, "/in")
        // The answer to the ping shows that what was before it has been read.
        try await first.send(frames(0..<4) + RawFrame(opcode: 9, payload: [7]).bytes)
        _ = await first.receive { $0.suffix(3) == [0x8A, 1, 7] }
        // One read brings the messages and the close frame, which is answered although there is no room.
        let client = try await openRaw(address, "/in")
        try await client.send(frames(4..<7) + RawFrame.close(1_000).bytes)
        _ = await client.receive()
        try await running.drain()
        #expect(Set(seen.values) == Set(0..<7))
        #expect(seen.values.count == 7)
    }
}
