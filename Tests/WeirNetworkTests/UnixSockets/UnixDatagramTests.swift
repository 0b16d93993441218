import CLibUV
import Foundation
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `Unix datagrams` {
    private func reading(
        _ path: String, _ seen: Recorder<Reading> = Recorder()
    ) -> Topology {
        Topology("reading") {
            EventStream("in", from: .unixDatagrams(path: path, as: Reading.self)).sink(seen.sink)
        }
    }

    private func sender(_ path: String) async throws -> DatagramSender {
        try await .open(UnixPath(path), on: Loop.shared())
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func failure(of topology: Topology) async throws -> NetworkError {
        try #require(
            await #expect(throws: NetworkError.self) { _ = try await topology.start(.quiet()) })
    }

    @Test func `bring messages, from this user only, and go with the run`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        let store = StateStore.directory("\(folder.path)/store", checkpointEvery: .milliseconds(20))
        for configuration in [RunConfiguration.quiet(), .stored(store)] {
            let seen = Recorder<Reading>()
            let running = try await reading(path, seen).start(configuration)
            let letters = running.recordDeadLetters()
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            let sender = try await sender(path)
            try await sender.send(
                Reading(id: 1, value: 1).json, "no JSON", Reading(id: 2, value: 2).json)
            #expect(await seen.wait(for: 2).map(\.id) == [1, 2])
            let letter = await letters.wait(for: 1)[0]
            #expect(letter.eventText == "no JSON")
            #expect(letter.origin == "unix:\(path)")
            sender.close()
            try await running.drain()
            #expect(!exists(path))
        }
    }

    @Test func `bring lines, and measurements of StatsD`() async throws {
        let folder = try Folder()
        let (lines, metrics) = ("\(folder.path)/lines.sock", "\(folder.path)/dsd.sock")
        let seen = Recorder<String>()
        let measured = Recorder<StatsDMetric>()
        var options = DatagramOptions()
        options.content = .lines
        let topology = Topology("lines") { [options] in
            EventStream(
                "lines", from: .unixDatagrams(path: lines, options: options, decoder: .text)
            ).sink(seen.sink)
            EventStream("metrics", from: .statsD(path: metrics, permissions: 0o622))
                .sink(measured.sink)
        }
        let running = try await topology.start(.quiet())
        let attributes = try FileManager.default.attributesOfItem(atPath: metrics)
        #expect(attributes[.posixPermissions] as? Int == 0o622)
        try await sender(lines).send("a\nb\r\nc", "d\n")
        #expect(await seen.wait(for: 4) == ["a", "b", "c", "d"])
        try await sender(metrics).send("orders:1|c\norders:2|c")
        #expect(await measured.wait(for: 2).map(\.value) == [1, 2])
        try await running.drain()
    }

    @Test func `keep a sender waiting while the stage is full, and lose nothing`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        let seen = Recorder<Int>()
        let receiving = Topology("receiving") {
            EventStream<Reading>("in", from: .unixDatagrams(path: path))
                .mailbox(.bounded(128)).map(\.id).sink(seen.sink)
        }
        let receiver = try await receiving.start(.quiet(batchSize: 32))
        let stage = try #require(receiver.stage("in"))
        stage.pause()
        let count = 1_000
        let sent = Recorder<Int>()
        let sending = Topology("sending") {
            EventStream("out", from: .collection((0..<count).map { Reading(id: $0, value: 1) }))
                .sink(
                    .unixDatagrams(
                        path: path,
                        encoder: EventEncoder(isText: true) { reading, bytes in
                            sent.append(reading.id)
                            bytes += Array(reading.json.utf8)
                        }))
        }
        let sender = try await sending.start(.quiet(batchSize: 1))
        _ = await sent.wait(for: 129)
        // Each event is a batch, written before the next is encoded: what is on its way is in the
        // kernel's queue, in the mailbox, or being decoded.
        #expect(sent.values.count < count)
        stage.resume()
        try await sender.waitUntilFinished()
        #expect(await seen.wait(for: count) == Array(0..<count))
        #expect(try #require(receiver.status().stage("in")).dropped.isEmpty)
        try await receiver.drain()
    }

    @Test func `give up what is too long`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        let seen = Recorder<Reading>()
        let running = try await reading(path, seen).start(.quiet())
        let letters = running.recordDeadLetters()
        let long = String(repeating: "x", count: 100_000)
        try await sender(path).send(long, Reading(id: 1, value: 1).json)
        #expect(await seen.wait(for: 1).map(\.id) == [1])
        let letter = await letters.wait(for: 1)[0]
        #expect((letter.event as? [UInt8])?.count == 65_536)
        #expect(
            letter.reason
                == "a datagram of more than 65536 bytes is longer than the limit of 65507 bytes")
        try await running.drain()
    }

    @Test func `replace what a dead process has left, and nothing else`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        // A socket that is bound and then closed stays as a file.
        close(cuv_unix_bind(path, 0o600, 0))
        #expect(exists(path))
        let seen = Recorder<Reading>()
        let running = try await reading(path, seen).start(.quiet())
        #expect(try await failure(of: reading(path)).code == .addressInUse)
        let streams = Topology("streams") {
            EventStream("in", from: .unix(path: path, as: Reading.self)).sink(.discard)
        }
        #expect(try await failure(of: streams).code == .addressInUse)
        // The one who was there first is still served.
        try await sender(path).send(Reading(id: 7, value: 1).json)
        #expect(await seen.wait(for: 1).map(\.id) == [7])
        try await running.drain()
        let listening = try await streams.start(.quiet())
        #expect(try await failure(of: reading(path)).code == .addressInUse)
        try await listening.drain()
    }

    @Test func `say what is wrong with a path`() async throws {
        let folder = try Folder()
        let long = "/tmp/" + String(repeating: "x", count: 120)
        #expect(try await failure(of: reading(long)).code == .invalidArgument)
        func sending(_ path: String) -> Topology {
            Topology("sending") {
                EventStream("out", from: .collection([Reading(id: 1, value: 1)]))
                    .sink(.unixDatagrams(path: path))
            }
        }
        #expect(try await failure(of: sending("/nonexistent/socket")).code == .addressNotAvailable)
        let path = "\(folder.path)/in.sock"
        let streams = Topology("streams") {
            EventStream("in", from: .unix(path: path, as: Reading.self)).sink(.discard)
        }
        let listening = try await streams.start(.quiet())
        let wrong = try await failure(of: sending(path))
        #expect(wrong.code == .invalidArgument)
        #expect(wrong.message.contains("other kind"))
        try await listening.drain()
        let twice = Topology("twice") {
            EventStream("one", from: .unixDatagrams(path: path, as: Reading.self)).sink(.discard)
            EventStream("two", from: .unix(path: path, as: Reading.self)).sink(.discard)
        }
        #expect(throws: TopologyError.self) { try twice.validate() }
    }

    @Test func `restart a sink whose receiver comes again`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        let seen = Recorder<Reading>()
        let receiver = try await reading(path, seen).start(.quiet())
        let (events, input) = AsyncStream.makeStream(of: Reading.self)
        let sending = Topology("sending") {
            EventStream("out", from: .sequence(events)).sink(.unixDatagrams(path: path))
        }
        let sender = try await sending.start(.quiet())
        input.yield(Reading(id: 1, value: 1))
        _ = await seen.wait(for: 1)
        try await receiver.drain()
        let again = Recorder<Reading>()
        let other = try await reading(path, again).start(.quiet())
        input.yield(Reading(id: 2, value: 1))
        #expect(await again.wait(for: 1).map(\.id) == [2])
        input.finish()
        try await sender.waitUntilFinished()
        try await other.drain()
    }
}
