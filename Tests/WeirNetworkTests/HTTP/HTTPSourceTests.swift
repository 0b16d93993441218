import Foundation
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

/// An HTTP client that sends requests as they are and reads one answer after the other.
struct PostClient {
    let client: RawClient

    init(_ address: SocketAddress) async throws {
        client = try await RawClient.connect(to: address, on: Loop.shared())
    }

    static func request(
        _ body: String, _ type: String = "application/json", path: String = "/in"
    ) -> String {
        "POST \(path) HTTP/1.1\r\nHost: h\r\nContent-Type: \(type)\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    static func last(_ body: String, _ type: String = "application/json") -> String {
        request(body, type).replacing("Host: h\r\n", with: "Host: h\r\nConnection: close\r\n")
    }

    /// Sends text and gives the answers, whose last one closes.
    func exchange(_ text: String) async throws -> [(status: Int, body: String)] {
        try await client.send(text)
        return Self.answers(await client.receiveText())
    }

    static func answers(_ text: String) -> [(status: Int, body: String)] {
        text.split(separator: "HTTP/1.1 ").map { part in
            let pieces = part.split(separator: "\r\n\r\n", maxSplits: 1)
            return (Int(part.prefix(3)) ?? 0, pieces.count > 1 ? String(pieces[1]) : "")
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct `A source of POST requests` {
    private static let lines = "application/x-ndjson"

    private func start(
        _ seen: Recorder<Int>, capacity: Int = 4_096, batchSize: Int = 512, store: String? = nil,
        _ options: HTTPIngestOptions = HTTPIngestOptions()
    ) async throws -> RunningTopology {
        let topology = Topology("post") {
            ServerSettings.patient()
            EventStream("in", from: .http("/in", port: 0, as: Reading.self, options: options))
                .mailbox(.bounded(capacity)).map(\.id).sink(seen.sink)
        }
        var configuration = RunConfiguration.quiet(batchSize: batchSize)
        if let store { configuration.store = .directory(store) }
        return try await topology.start(configuration)
    }

    private func reading(_ id: Int) -> String { Reading(id: id, value: 1).json }

    @Test func `takes documents, arrays and lines, and tells how many`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(seen)
        let client = try await PostClient(try running.web)
        let answers = try await client.exchange(
            PostClient.request(reading(0)) + PostClient.request("[\(reading(1)), \(reading(2))]")
                + PostClient.request("\(reading(3))\n\n\(reading(4))\r\n\(reading(5))", Self.lines)
                + PostClient.request("[]") + PostClient.request("", Self.lines)
                + PostClient.last(" " + reading(6)))
        #expect(answers.map(\.status) == [202, 202, 202, 202, 202, 202])
        #expect(
            answers.map { $0.body.dropFirst(#"{"accepted":"#.count).dropLast() }
                == ["1", "2", "3", "0", "0", "1"])
        #expect(await seen.wait(for: 7) == Array(0..<7))
        #expect(running.deadLetters.total == 0)
        try await running.drain()
    }

    static let refusals: [(String, String, Int, [String])] = [
        (#"{"id":1}"#, "application/json", 400, [#""offset":0"#, #""accepted":0"#]),
        (#"{"id":x}"#, "application/json", 400, [#""offset":6"#]),
        ("[{\"id\":1,\"value\":1},{}]", "application/json", 400, [#""index":1"#, #""offset":20"#]),
        ("[{\"id\":1,\"value\":1}", "application/json", 400, ["does not end", #""accepted":0"#]),
        (
            "{\"id\":1,\"value\":1}\r\n\n{\"id\":2,\"value\":}\n{\"id\":3,\"value\":1}", lines, 400,
            [#""line":3"#, #""offset":37"#, #""accepted":1"#]
        ),
        (String(repeating: "a", count: 300), lines, 413, [#""line":1"#, #""accepted":0"#]),
        (String(repeating: "[", count: 300), "application/json", 413, []),
        ("{}", "text/plain", 415, ["application/json"]),
        ("{}", "application/json; charset=latin1", 415, []),
        ("{}", "application/jsonx", 415, []),
    ]

    @Test(arguments: refusals)
    func `refuses what is no event and says where`(
        _ body: String, _ type: String, _ status: Int, _ parts: [String]
    ) async throws {
        let seen = Recorder<Int>()
        var options = HTTPIngestOptions()
        options.maximumDocumentLength = 200
        options.maximumLineLength = 200
        let running = try await start(seen, options)
        let client = try await PostClient(try running.web)
        let answer = try #require(try await client.exchange(PostClient.last(body, type)).last)
        #expect(answer.status == status)
        for part in parts { #expect(answer.body.contains(part), "\(answer.body)") }
        #expect(running.deadLetters.total == 0)
        try await running.drain()
        #expect(seen.values.count == (parts.contains(#""accepted":1"#) ? 1 : 0))
    }

    @Test func `keeps the connection open after a document that is no event`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(seen)
        let client = try await PostClient(try running.web)
        let answers = try await client.exchange(
            PostClient.request("{}") + PostClient.request("[1]") + PostClient.last(reading(7)))
        #expect(answers.map(\.status) == [400, 400, 202])
        try await running.drain()
        #expect(seen.values == [7])
    }

    @Test func `answers 429 when there is no room, and takes nothing of that`() async throws {
        let seen = Recorder<Int>()
        var options = HTTPIngestOptions()
        options.patience = .milliseconds(20)
        options.retryAfter = .seconds(3)
        let running = try await start(seen, capacity: 4, batchSize: 4, options)
        // An answer shows that the source runs: its patience is too short for its beginning.
        var status = 0
        while status != 202 {
            let first = try await PostClient(try running.web)
            status = try await first.exchange(PostClient.last(reading(100)))[0].status
        }
        _ = await seen.wait(for: 1)
        try #require(running.stage("in")).pause()
        let client = try await PostClient(try running.web)
        var text = ""
        for id in 0..<20 { text += PostClient.request(reading(id)) }
        try await client.client.send(text + PostClient.last(reading(20)))
        let raw = await client.client.receiveText()
        let answers = PostClient.answers(raw)
        let taken = answers.indices.filter { answers[$0].status == 202 }
        #expect(answers.count == 21)
        #expect(taken.count >= 4 && taken.count < 15)
        #expect(answers.filter { $0.status == 429 }.count == 21 - taken.count)
        #expect(raw.contains("Retry-After: 3\r\n"))
        try await running.drain()
        #expect(seen.values == [100] + taken)
    }

    @Test func `doesn't read a stream of lines while there is no room`() async throws {
        let seen = Recorder<Int>()
        var options = HTTPIngestOptions()
        options.patience = .seconds(100)
        let running = try await start(seen, capacity: 64, batchSize: 16, options)
        let stage = try #require(running.stage("in"))
        stage.pause()
        let client = try await PostClient(try running.web)
        let count = 20_000
        let padding = String(repeating: " ", count: 1_000)
        try await client.client.send(
            "POST /in HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: \(Self.lines)\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n")
        var sent = 0
        var refusals = 0
        func chunk(_ id: Int) -> [UInt8] {
            let line = reading(id) + padding + "\n"
            return Array("\(String(line.utf8.count, radix: 16))\r\n\(line)\r\n".utf8)
        }
        while refusals < 500 {
            if try await client.client.fill(with: chunk(sent), atMost: 1) > 0 {
                sent += 1
                refusals = 0
            } else {
                refusals += 1
                await Task.yield()
            }
            try #require(sent < count)
        }
        #expect(try running.serverCounters.bytesIn < 400_000)
        stage.resume()
        while sent < count {
            if try await client.client.fill(with: chunk(sent), atMost: 1) > 0 {
                sent += 1
            } else {
                await Task.yield()
            }
        }
        while try await client.client.fill(with: Array("0\r\n\r\n".utf8), atMost: 1) == 0 {
            await Task.yield()
        }
        let answer = PostClient.answers(await client.client.receiveText())
        #expect(answer.map(\.body) == [#"{"accepted":\#(count)}"#])
        #expect(await seen.wait(for: count).elementsEqual(0..<count))
        try await running.drain()
    }

    @Test func `refuses a waiting stream when it drains, with what it took`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(seen)
        let client = try await PostClient(try running.web)
        try await client.client.send(
            "POST /in HTTP/1.1\r\nHost: h\r\nContent-Type: \(Self.lines)\r\nContent-Length: 9999\r\n\r\n"
                + reading(1) + "\n" + reading(2) + "\n{")
        #expect(await seen.wait(for: 2) == [1, 2])
        async let drained: Void = running.drain()
        let answer = PostClient.answers(await client.client.receiveText())
        #expect(answer.map(\.status) == [503])
        #expect(answer[0].body.contains(#""accepted":2"#))
        try await drained
    }

    @Test func `refuses a document at once whose end comes too late`() async throws {
        let seen = Recorder<Int>()
        let running = try await Topology("late") {
            EventStream("in", from: .http("/in", port: 0, as: Reading.self)).map(\.id)
                .sink(seen.sink)
        }.start(.quiet())
        let address = try running.web
        let loop = try Loop.shared()
        let body = Reading(id: 1, value: 1).json
        let late = try await RawClient.connect(to: address, on: loop)
        try await late.send(
            "POST /in HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n" + body.prefix(4))
        let lines = try await RawClient.connect(to: address, on: loop)
        try await lines.send(
            "POST /in HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
                + "Content-Length: 9999\r\n\r\n" + Reading(id: 2, value: 1).json + "\n")
        #expect(await seen.wait(for: 1) == [2])
        async let drained: Void = running.drain()
        // This answer tells that the source has closed.
        #expect(PostClient.answers(await lines.receiveText()).map(\.status) == [503])
        try await late.send(String(body.dropFirst(4)))
        #expect(PostClient.answers(await late.receiveText()).map(\.status) == [503])
        try await drained
        #expect(seen.values == [2])
    }

    @Test func `gives every request of many connections its own answer`() async throws {
        let seen = Recorder<Int>()
        var options = HTTPIngestOptions()
        options.patience = .seconds(100)
        let running = try await start(seen, capacity: 32, batchSize: 8, options)
        let address = try running.web
        let all = try await withThrowingTaskGroup(of: [Int].self) { group in
            for connection in 0..<20 {
                group.addTask {
                    let client = try await PostClient(address)
                    var text = ""
                    for id in 0..<50 {
                        let body = Reading(id: connection * 100 + id, value: 1).json
                        text += id == 49 ? PostClient.last(body) : PostClient.request(body)
                    }
                    return try await client.exchange(text).map(\.status)
                }
            }
            var all: [Int] = []
            for try await statuses in group { all += statuses }
            return all
        }
        #expect(all.count == 1_000 && all.allSatisfy { $0 == 202 })
        try await running.drain()
        let ids = seen.values
        #expect(Set(ids).count == 1_000 && ids.count == 1_000)
        for connection in 0..<20 {
            #expect(ids.filter { $0 / 100 == connection } == (0..<50).map { connection * 100 + $0 })
        }
    }

    @Test func `says 202 in a run with a store only when the events are durable`() async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/weir-post-\(UUID())"
        let seen = Recorder<Int>()
        let running = try await start(seen, store: directory)
        try #require(running.stage("in")).pause()
        let client = try await PostClient(try running.web)
        let answers = try await client.exchange(
            PostClient.request(reading(0)) + PostClient.request("[\(reading(1)),\(reading(2))]")
                + PostClient.request("{") + PostClient.request(reading(3) + "\n", Self.lines)
                + PostClient.last("\(reading(4))\n\(reading(5))\nx\n", Self.lines))
        #expect(answers.map(\.status) == [202, 202, 400, 202, 400])
        #expect(answers.last?.body.contains(#""accepted":2"#) == true)
        // Nothing of it has been handled, and the run ends without a checkpoint.
        running.cancel()
        try? await running.waitUntilFinished()
        #expect(seen.values.isEmpty)
        let again = Recorder<Int>()
        let second = try await start(again, store: directory)
        #expect(await again.wait(for: 6) == Array(0..<6))
        try await second.drain()
        try? FileManager.default.removeItem(atPath: directory)
    }
}
