import CLibUV
import Foundation
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

/// A client of a Unix socket that records the lines it gets.
private final class UnixClient: Sendable {
    let lines = Recorder<String>()
    private let reader: LoopBound<FramedReader<LineFraming>>

    init(_ path: String) async throws {
        let loop = try Loop.shared()
        let lines = lines
        reader = try await loop.run {
            let reader = FramedReader(
                try TCPConnection.connect(toUnix: path, on: loop), framing: LineFraming(),
                onFrame: { line in
                    lines.append(String(decoding: line, as: UTF8.self))
                    return .proceed
                })
            reader.resume()
            return LoopBound(reader, on: loop)
        }
    }

    func send(_ text: String) async throws {
        let reader = reader
        try await reader.loop.run { _ = reader.value.connection.write(text) }
    }
}

@Suite(.timeLimit(.minutes(5))) struct `Unix sockets` {
    private func listening(_ path: String, _ seen: Recorder<Reading> = Recorder()) -> Topology {
        Topology("unix") {
            EventStream("in", from: .unix(path: path, as: Reading.self)).sink(seen.sink)
        }
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    @Test func `bring lines, for this user only, and go with the run`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        let seen = Recorder<Reading>()
        let running = try await listening(path, seen).start(.quiet())
        let letters = running.recordDeadLetters()
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let client = try await UnixClient(path)
        try await client.send(Reading(id: 1, value: 1).json + "\nno JSON\n")
        #expect(await seen.wait(for: 1).map(\.id) == [1])
        #expect(await letters.wait(for: 1)[0].origin == "unix:\(path)")
        try await running.drain()
        #expect(!exists(path))
    }

    @Test func `replace what a dead process has left, and nothing else`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        // A socket that is bound and then closed stays as a file.
        let descriptor = cuv_unix_bind(path, 0o600, 1)
        #expect(descriptor >= 0)
        close(descriptor)
        #expect(exists(path))
        let seen = Recorder<Reading>()
        let running = try await listening(path, seen).start(.quiet())
        let refused = try #require(
            await #expect(throws: NetworkError.self) {
                _ = try await listening(path).start(.quiet())
            })
        #expect(refused.code == .addressInUse)
        // The one who was there first is still served.
        let client = try await UnixClient(path)
        try await client.send(Reading(id: 7, value: 1).json + "\n")
        #expect(await seen.wait(for: 1).map(\.id) == [7])
        try await running.drain()
        try "text".write(toFile: path, atomically: true, encoding: .utf8)
        let file = try #require(
            await #expect(throws: NetworkError.self) {
                _ = try await listening(path).start(.quiet())
            })
        #expect(file.code == .addressInUse)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "text")
    }

    @Test func `say what is wrong with a path`() async throws {
        let long = "/tmp/" + String(repeating: "x", count: 120)
        let tooLong = try #require(
            await #expect(throws: NetworkError.self) {
                _ = try await listening(long).start(.quiet())
            })
        #expect(tooLong.code == .invalidArgument)
        let nowhere = Topology("nowhere") {
            EventStream("out", from: .collection([Reading(id: 1, value: 1)]))
                .sink(.unix(path: "/nonexistent/socket"))
        }
        let missing = try #require(
            await #expect(throws: NetworkError.self) { _ = try await nowhere.start(.quiet()) })
        #expect(missing.code == .addressNotAvailable)
    }

    @Test func `speak the acknowledging protocol`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        let seen = Recorder<Reading>()
        let running = try await listening(path, seen).start(.quiet())
        let client = try await UnixClient(path)
        try await client.send("WEIR-ACK/1 till\n")
        try await client.send("1 \(Reading(id: 1, value: 1).json)\n")
        let answers = await client.lines.wait(for: 2)
        #expect(answers[1].contains("1"))
        #expect(await seen.wait(for: 1).map(\.id) == [1])
        try await running.drain()
    }

    @Test func `take an acknowledged sender's events once, over a restart of the server`()
        async throws
    {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        let store = StateStore.directory("\(folder.path)/store", checkpointEvery: .zero)
        let seen = Recorder<Reading>()
        var running = try await listening(path, seen).start(.stored(store))
        var configuration = AcknowledgedSender.Configuration()
        configuration.firstPause = .milliseconds(1)
        configuration.longestPause = .milliseconds(20)
        // A slow machine is not what is tested.
        configuration.connectTimeout = .seconds(240)
        let sender = try await AcknowledgedSender.connect(
            to: "unix:\(path)", producer: "till", configuration: configuration)
        for id in 1...100 { try await sender.send(Array(Reading(id: id, value: 1).json.utf8)) }
        try await sender.waitUntilAcknowledged()
        try await running.checkpoint()
        running.cancel()
        try? await running.waitUntilFinished()
        for id in 101...200 { try await sender.send(Array(Reading(id: id, value: 1).json.utf8)) }
        let again = Recorder<Reading>()
        running = try await listening(path, again).start(.stored(store))
        try await sender.waitUntilAcknowledged()
        #expect(sender.counters.reconnects == 1)
        await sender.close()
        try await running.drain()
        // What the checkpoint did not have yet comes once more, in its order.
        let (first, second) = (seen.values.map(\.id), again.values.map(\.id))
        #expect(first == first.indices.map { $0 + 1 })
        #expect(second == second.indices.map { 201 - second.count + $0 })
        #expect(first.count + second.count >= 200)
    }

    @Test func `are named by unix: and a path`() async throws {
        for url in ["unix:", "unix://host/path"] {
            let error = await #expect(throws: NetworkError.self) {
                _ = try await AcknowledgedSender.connect(to: url, producer: "p")
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test func `carry events from a sink to a source`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        let seen = Recorder<Reading>()
        let receiver = try await listening(path, seen).start(.quiet())
        let sending = Topology("sender") {
            EventStream("out", from: .collection((0..<5_000).map { Reading(id: $0, value: 1) }))
                .sink(.unix(path: path))
        }
        try await sending.start(.quiet()).waitUntilFinished()
        #expect(await seen.wait(for: 5_000).map(\.id) == Array(0..<5_000))
        try await receiver.drain()
    }
}
