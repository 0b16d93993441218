import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

extension RunningTopology {
    /// Where the UDP source of a topology is that asked for port 0.
    var udp: SocketAddress {
        get throws { try #require(addresses["udp://127.0.0.1:0"]) }
    }
}

extension DatagramSender {
    static func to(_ address: SocketAddress) async throws -> DatagramSender {
        try await open(host: address.ip, port: address.port, on: Loop.shared())
    }

    func send(_ texts: String...) async throws { try await send(texts) }

    func send(_ texts: [String]) async throws {
        var bytes: [UInt8] = []
        var ends: [Int] = []
        for text in texts {
            bytes += Array(text.utf8)
            ends.append(bytes.count)
        }
        try await send(bytes, ends: ends)
    }
}

private struct Arrival: Codable, Sendable, Equatable {
    var text: String
    var sender: String

    static var decoder: EventDecoder<Arrival> {
        EventDecoder(withConnection: { bytes, connection in
            Arrival(
                text: String(decoding: bytes, as: UTF8.self), sender: connection.remoteAddress)
        })
    }
}

@Suite(.timeLimit(.minutes(5))) struct `UDP sources and sinks` {
    @Test func `take datagrams and pass over what is no event`() async throws {
        let seen = Recorder<Reading>()
        let topology = Topology("datagrams") {
            EventStream("in", from: .udp(port: 0, as: Reading.self)).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let letters = running.recordDeadLetters()
        let sender = try await DatagramSender.to(try running.udp)
        try await sender.send(
            Reading(id: 1, value: 1).json, "no JSON", Reading(id: 2, value: 2).json)
        #expect(await seen.wait(for: 2).map(\.id) == [1, 2])
        let letter = await letters.wait(for: 1)[0]
        #expect(letter.eventText == "no JSON")
        #expect(letter.origin?.hasPrefix("127.0.0.1:") == true)
        sender.close()
        try await running.drain()
    }

    @Test func `tell the decoder who has sent a datagram`() async throws {
        let folder = try Folder()
        let store = StateStore.directory("\(folder.path)/store", checkpointEvery: .milliseconds(20))
        for configuration in [RunConfiguration.quiet(), .stored(store)] {
            let seen = Recorder<Arrival>()
            let topology = Topology("senders") {
                EventStream("in", from: .udp(port: 0, decoder: Arrival.decoder)).sink(seen.sink)
            }
            let running = try await topology.start(configuration)
            let one = try await DatagramSender.to(try running.udp)
            let other = try await DatagramSender.to(try running.udp)
            for index in 0..<50 {
                try await one.send("one \(index)")
                try await other.send("other \(index)")
            }
            let all = await seen.wait(for: 100)
            let senders = Dictionary(grouping: all) { $0.text.prefix { $0 != " " } }
                .mapValues { Set($0.map(\.sender)) }
            #expect(senders.count == 2)
            #expect(senders.values.allSatisfy { $0.count == 1 })
            #expect(senders["one"] != senders["other"])
            try await running.drain()
        }
    }

    @Test func `take the lines of a datagram, the last one without its end`() async throws {
        let seen = Recorder<String>()
        var options = DatagramOptions()
        options.content = .lines
        let topology = Topology("lines") { [options] in
            EventStream("in", from: .udp(port: 0, options: options, decoder: .text))
                .sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let sender = try await DatagramSender.to(try running.udp)
        try await sender.send("a\nb\r\n\nc", "d\n", "")
        try await sender.send("e")
        #expect(await seen.wait(for: 6) == ["a", "b", "", "c", "d", "e"])
        try await running.drain()
    }

    @Test func `give up a datagram that is too long`() async throws {
        let seen = Recorder<String>()
        var options = DatagramOptions()
        options.maximumLength = 5
        options.datagramsPerRead = 1
        let topology = Topology("long") { [options] in
            EventStream("in", from: .udp(port: 0, options: options, decoder: .text))
                .sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let letters = running.recordDeadLetters()
        let sender = try await DatagramSender.to(try running.udp)
        try await sender.send("12345", "123456", "x")
        #expect(await seen.wait(for: 2) == ["12345", "x"])
        let letter = await letters.wait(for: 1)[0]
        #expect(letter.eventText == "123456")
        #expect(letter.reason.contains("longer than the limit of 5 bytes"))
        try await running.drain()
    }

    #if os(Linux)
        @Test func `count what the kernel drops while the mailbox is full`() async throws {
            let seen = Recorder<Int>()
            var options = DatagramOptions()
            options.receiveBufferSize = 64 << 10
            let topology = Topology("full") { [options] in
                EventStream<Reading>(
                    "in", from: .udp(port: 0, options: options, decoder: .json)
                ).mailbox(.bounded(128)).map(\.id).sink(seen.sink)
            }
            let running = try await topology.start(.quiet(batchSize: 32))
            let stage = try #require(running.stage("in"))
            stage.pause()
            let sender = try await DatagramSender.to(try running.udp)
            let count = 5_000
            for id in 0..<count { try await sender.send(Reading(id: id, value: 1).json) }
            stage.resume()
            func dropped() throws -> Int {
                try #require(running.status().stage("in")).dropped["kernelBuffer"] ?? 0
            }
            // A datagram is with the kernel, or dropped, when it has been sent.
            while try dropped() + seen.values.count < count { await Task.yield() }
            #expect(try dropped() > 0)
            #expect(try dropped() + seen.values.count == count)
            #expect(seen.values.count >= 128)
            #expect(seen.values == seen.values.sorted())
            try await running.drain()
        }
    #endif

    @Test func `reach each other, gathered as lines`() async throws {
        let seen = Recorder<Reading>()
        var options = DatagramOptions()
        options.content = .lines
        let receiving = Topology("receiver") { [options] in
            EventStream<Reading>("in", from: .udp(port: 0, options: options, decoder: .json))
                .sink(seen.sink)
        }
        let receiver = try await receiving.start(.quiet())
        let port = try receiver.udp.port
        let sending = Topology("sender") {
            EventStream("out", from: .collection((0..<100).map { Reading(id: $0, value: 1) }))
                .sink(.udp(host: "127.0.0.1", port: port, content: .lines))
        }
        try await sending.start(.quiet()).waitUntilFinished()
        #expect(await seen.wait(for: 100).map(\.id) == Array(0..<100))
        try await receiver.drain()
    }

    @Test func `refuse a port that is taken`() async throws {
        let first = Topology("first") {
            EventStream("in", from: .udp(port: 0, as: Reading.self)).sink(.discard)
        }
        let running = try await first.start(.quiet())
        let port = try running.udp.port
        let second = Topology("second") {
            EventStream("in", from: .udp(port: port, as: Reading.self)).sink(.discard)
        }
        let error = try #require(
            await #expect(throws: NetworkError.self) { _ = try await second.start(.quiet()) })
        #expect(error.code == .addressInUse)
        #expect(error.message.contains("udp 127.0.0.1:\(port)"))
        try await running.drain()
    }

    @Test func `listen where others reach them only on purpose`() async throws {
        let topology = Topology("reachable") {
            EventStream("in", from: .udp(host: "0.0.0.0", port: 0, as: Reading.self))
                .sink(.discard)
        }
        let error = try #require(
            await #expect(throws: NetworkError.self) { _ = try await topology.start(.quiet()) })
        #expect(error.code == .invalidArgument)
        let open = Topology("open") {
            ServerSettings(host: "0.0.0.0", port: 0, access: .open)
            EventStream("in", from: .udp(host: "0.0.0.0", port: 0, as: Reading.self))
                .sink(.discard)
        }
        try await open.start(.quiet()).drain()
    }

    @Test func `pack lines up to the length, and longer ones alone`() throws {
        var packing = DatagramPacking(.lines, maximumLength: 7)
        for text in ["abc", "def", "g", "0123456789", "h"] { try packing.append(Array(text.utf8)) }
        var (bytes, ends) = packing.take()
        #expect(String(decoding: bytes, as: UTF8.self) == "abc\ndefg0123456789h")
        #expect(ends == [7, 8, 18, 19])
        try packing.append(Array("i".utf8))
        (bytes, ends) = packing.take()
        #expect(ends == [1])
        #expect(throws: FramingError.self) { try packing.append(Array("a\nb".utf8)) }
        #expect(throws: FramingError.self) {
            try packing.append([UInt8](repeating: 1, count: DatagramPacking.lengthMax + 1))
        }
    }
}
