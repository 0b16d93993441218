import Foundation
import Testing
import WeirCore
import WeirJournal
import WeirTestSupport

@testable import WeirNetwork

@Suite struct `An Idempotency-Key` {
    private func parse(_ text: String) -> String? {
        Array(text.utf8).withUnsafeBytes { bytes in
            (try? IdempotencyKey.parse(bytes, maximumLength: 8))
                .map { String(decoding: $0, as: UTF8.self) }
        }
    }

    @Test(arguments: [
        (#""abc""#, "abc"), (#""a b""#, "a b"), (#""\"\\""#, #""\"#), (#""12345678""#, "12345678"),
        (#""abc";x=1;y"#, "abc"),
    ])
    func `is a string of a structured field`(_ text: String, _ key: String) {
        #expect(parse(text) == key)
    }

    @Test(arguments: [
        "", "abc", #"""#, #""""#, #""123456789""#, #""a"b""#, #""\a""#, #""a\""#, "\"\u{7F}\"",
        "\"ä\"", #""a";"#, #""a";X=1"#, #"("a")"#, #""a", "b""#,
    ])
    func `is refused in any other form`(_ text: String) {
        #expect(parse(text) == nil)
    }
}

@Suite(.timeLimit(.minutes(5))) struct `A source of POST requests with keys` {
    private static let lines = "application/x-ndjson"

    private func topology(
        _ seen: Recorder<Int>, _ options: HTTPIngestOptions = HTTPIngestOptions()
    ) -> Topology {
        Topology("keys") {
            ServerSettings.patient()
            EventStream("in", from: .http("/in", port: 0, as: Reading.self, options: options))
                .map(\.id).sink(seen.sink)
        }
    }

    private func request(
        _ body: String, key: String, _ type: String = "application/json", isLast: Bool = false
    ) -> String {
        (isLast ? PostClient.last(body, type) : PostClient.request(body, type))
            .replacing("Host: h\r\n", with: "Host: h\r\nIdempotency-Key: \(key)\r\n")
    }

    private func reading(_ id: Int) -> String { Reading(id: id, value: 1).json }

    private func post(
        _ running: RunningTopology, _ requests: String...
    ) async throws -> [(status: Int, body: String)] {
        let client = try await PostClient(try running.web)
        let answers = try await client.exchange(requests.joined())
        try await client.client.close()
        return answers
    }

    @Test(arguments: [false, true])
    func `takes a request once and answers it alike each time`(_ hasStore: Bool) async throws {
        let folder = try Folder()
        let seen = Recorder<Int>()
        var configuration = RunConfiguration.quiet()
        if hasStore { configuration.store = .directory(folder.path) }
        let running = try await topology(seen).start(configuration)
        let two = "[\(reading(1)),\(reading(2))]"
        let text = "\(reading(3))\n\n\(reading(4))\r\n"
        let answers = try await post(
            running, request(two, key: #""a""#), request(two, key: #""a""#),
            request(text, key: #""b""#, Self.lines), request(reading(5), key: #""c""#),
            request(text, key: #""b""#, Self.lines), request("[]", key: #""d""#),
            request("[]", key: #""d""#), request(reading(5), key: #""c""#, isLast: true))
        #expect(answers.map(\.status) == Array(repeating: 202, count: 8))
        #expect(
            answers.map { $0.body.dropFirst(#"{"accepted":"#.count).dropLast() }
                == ["2", "2", "2", "1", "2", "0", "0", "1"])
        try await running.drain()
        #expect(seen.values == [1, 2, 3, 4, 5])
    }

    @Test func `refuses another content, a malformed key and two of them`() async throws {
        let seen = Recorder<Int>()
        var options = HTTPIngestOptions()
        options.requiresKey = true
        let running = try await topology(seen, options).start(.quiet())
        let answers = try await post(
            running, request(reading(1), key: #""a""#), request(reading(2), key: #""a""#),
            request(reading(1), key: #""a""#, Self.lines),
            request(reading(1), key: #""a""#, isLast: true))
        #expect(answers.map(\.status) == [202, 422, 422, 202])
        #expect(answers[1].body.contains("this Idempotency-Key was used for another content"))
        for header in [
            "Idempotency-Key: a", "X: y", "Idempotency-Key: \"a\"\r\nIdempotency-Key: \"a\"",
        ] {
            let text = PostClient.last(reading(3))
                .replacing("Host: h\r\n", with: "Host: h\r\n\(header)\r\n")
            #expect(try await post(running, text).map(\.status) == [400], "\(header)")
        }
        try await running.drain()
        #expect(seen.values == [1])
    }

    @Test func `gives the key of a request free that it has refused`() async throws {
        let seen = Recorder<Int>()
        let running = try await topology(seen).start(.quiet())
        let answers = try await post(
            running, request("{}", key: #""a""#),
            request("\(reading(1))\n{}", key: #""a""#, Self.lines),
            request(reading(1), key: #""a""#, isLast: true))
        #expect(answers.map(\.status) == [400, 400, 202])
        #expect(answers[1].body.contains(#""line":2"#), "\(answers[1].body)")
        try await running.drain()
        #expect(seen.values == [1])
    }

    @Test func `says 409 to a request whose like is on its way`() async throws {
        let disk = SimulatedFileSystem()
        var store = StateStore.directory("/store", checkpointEvery: .zero)
        store.fileSystem = disk
        let seen = Recorder<Int>()
        var options = HTTPIngestOptions()
        options.patience = .seconds(600)
        let running = try await topology(seen, options).start(.stored(store))
        // What can't be made durable stays on its way.
        let before = disk.operationCount(.write)
        disk.fail(.write, with: .noSpace, times: .max)
        let first = try await PostClient(try running.web)
        try await first.client.send(request(reading(1), key: #""a""#, isLast: true))
        while disk.operationCount(.write) == before { await Task.yield() }
        #expect(
            try await post(running, request(reading(1), key: #""a""#, isLast: true)).map(\.status)
                == [409])
        disk.clearFaults()
        #expect(PostClient.answers(await first.client.receiveText()).map(\.status) == [202])
        #expect(
            try await post(running, request(reading(1), key: #""a""#, isLast: true)).map(\.status)
                == [202])
        try await running.drain()
        #expect(seen.values == [1])
    }

    @Test func `remembers keys over a kill of the process`() async throws {
        let disk = SimulatedFileSystem()
        var store = StateStore.directory("/store", checkpointEvery: .zero)
        store.fileSystem = disk
        for round in 0..<3 {
            let seen = Recorder<Int>()
            let running = try await topology(seen).start(.stored(store))
            let answers = try await post(
                running, request("[\(reading(1)),\(reading(2))]", key: #""a""#),
                request(reading(3), key: #""a""#), request(reading(9), key: "\"\(round)\""),
                request(reading(9), key: "\"\(round)\"", isLast: true))
            #expect(answers.map(\.status) == [202, 422, 202, 202])
            #expect(answers[0].body == #"{"accepted":2}"#)
            // All that the journal has comes again, each request's events once.
            #expect(
                await seen.wait(for: 3 + round) == [1, 2] + Array(repeating: 9, count: round + 1))
            running.cancel()
            try? await running.waitUntilFinished()
            disk.crash(seed: UInt64(round))
        }
    }

    @Test func `remembers keys when the journal has let go of their requests`() async throws {
        let folder = try Folder()
        let store = StateStore.directory(folder.path, checkpointEvery: .zero, keeping: 1)
        var options = HTTPIngestOptions()
        options.limits.segmentBytes = 4_096
        let seen = Recorder<Int>()
        var running = try await topology(seen, options).start(.stored(store))
        let padding = String(repeating: " ", count: 1_000)
        for id in 0..<40 {
            let answers = try await post(
                running, request(reading(id) + padding, key: "\"\(id)\"", isLast: true))
            #expect(answers.map(\.status) == [202])
            _ = await seen.wait(for: id + 1)
            if id % 10 == 9 { try await running.checkpoint() }
        }
        running.cancel()
        try? await running.waitUntilFinished()
        let journal = try FileManager.default.contentsOfDirectory(
            atPath: "\(folder.path)/ingest/in")
        #expect(!journal.contains("0000000000000000.wj"), "\(journal)")
        let again = Recorder<Int>()
        running = try await topology(again, options).start(.stored(store))
        for id in 0..<40 {
            let answers = try await post(
                running, request(reading(id) + padding, key: "\"\(id)\"", isLast: true))
            #expect(answers.map(\.body) == [#"{"accepted":1}"#])
        }
        try await running.drain()
        #expect(again.values == [])
    }

    @Test func `remembers no more keys than it may`() async throws {
        let seen = Recorder<Int>()
        var options = HTTPIngestOptions()
        options.limits.requestKeys = 3
        let running = try await topology(seen, options).start(.quiet())
        for id in [1, 2, 3, 4, 4, 3, 2, 1] {
            let answers = try await post(
                running, request(reading(id), key: "\"\(id)\"", isLast: true))
            #expect(answers.map(\.status) == [202])
        }
        try await running.drain()
        #expect(seen.values == [1, 2, 3, 4, 1])
    }
}
