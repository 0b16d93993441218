import Foundation
import Logging
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `Keys of a file` {
    private static let kept = "till-1 ingest sha256:\(digest("one"))\n"
    private static let revoked = "till-2 ingest sha256:\(digest("two"))\n"

    private static func digest(_ key: String) -> String {
        APIKeys.hexadecimal(SHA256Digest.of(Array(key.utf8)))
    }

    private func write(_ text: String, _ path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    @Test func `count as long as they are in it`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/keys"
        try write(Self.kept + Self.revoked, path)
        let lines = Recorder<String>()
        let keys = try APIKeys(
            file: path, reloadInterval: .zero, logger: RecordedLog.logger(lines))
        func identity(_ key: String) -> Identity? {
            keys.authenticate(Credentials(apiKey: key)).identity
        }
        let (one, two) = (try #require(identity("one")), try #require(identity("two")))
        #expect(one.standing.counts?() == true && two.standing.counts?() == true)
        // What can't be used changes nothing, and is told once.
        try write("till-1 ingest\n", path)
        #expect(identity("two") != nil && identity("one") != nil)
        try FileManager.default.removeItem(atPath: path)
        #expect(identity("two") != nil && two.standing.counts?() == true)
        #expect(lines.values.count == 1 && lines.values[0].contains("line 1"))
        // The same name with other roles, or by another key, is another key.
        try write(Self.kept + "till-2 read sha256:\(Self.digest("two"))\n", path)
        #expect(two.standing.counts?() == false && one.standing.counts?() == true)
        #expect(identity("two")?.roles == .read)
        try write(Self.kept, path)
        #expect(keys.authenticate(Credentials(apiKey: "two")) == .refused(.invalid))
        #expect(identity("one") == one && one.standing.counts?() == true)
        #expect(try JSONDecoder().decode(Identity.self, from: JSONEncoder().encode(one)) == one)
    }

    @Test func `are read again when they are told to`() throws {
        let folder = try Folder()
        let path = "\(folder.path)/keys"
        try write(Self.kept + Self.revoked, path)
        let keys = try APIKeys(
            file: path, reloadInterval: nil,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try write(Self.kept, path)
        #expect(keys.authenticate(Credentials(apiKey: "two")).identity != nil)
        try keys.reload()
        #expect(keys.authenticate(Credentials(apiKey: "two")) == .refused(.invalid))
        try write("nonsense", path)
        #expect(throws: NetworkError.self) { try keys.reload() }
        #expect(keys.authenticate(Credentials(apiKey: "one")).identity != nil)
    }

    @Test func `that are revoked lose their connections, and no others do`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/keys"
        try write(Self.kept + Self.revoked, path)
        let keys = try APIKeys(
            file: path, reloadInterval: .zero,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let seen = Recorder<Int>()
        let topology = Topology("revoked") {
            ServerSettings(port: 0, access: AccessControl(keys))
            let web = EventStream("web", from: .webSocket("/in", port: 0, as: Reading.self))
            let lines = EventStream("lines", from: .tcp(port: 0, as: Reading.self))
            web.merge(lines).map(\.id).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let (web, tcp) = (try running.web, try running.tcp)
        let closures = Recorder<WebSocketClosure>()
        func connect(_ key: String) async throws -> WebSocketClient {
            var configuration = WebSocketClientConfiguration()
            configuration.authorization = .apiKey(key)
            return try await WebSocketClient.connect(
                to: "ws://\(web)/in", configuration: configuration,
                onClose: { closures.append($0) })
        }
        let (first, second) = (try await connect("one"), try await connect("two"))
        let line = try await RawClient.connect(to: tcp, on: Loop.shared())
        try await line.send("WEIR-AUTH/1 two\n" + Reading(id: 1, value: 1).json + "\n")
        try await second.send(Reading(id: 2, value: 1).json)
        #expect(Set(await seen.wait(for: 2)) == [1, 2])
        try write(Self.kept, path)
        let closure = await closures.wait(for: 1)[0]
        #expect(closure.code == .policyViolation)
        // It ends without an answer.
        #expect(await line.receive().isEmpty)
        try await first.send(Reading(id: 3, value: 1).json)
        _ = await seen.wait(for: 3)
        #expect(closures.values.count == 1)
        await first.close()
        try await running.drain()
    }

    @Test func `that are revoked end the events that are sent to them`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/keys"
        let kept = "till-1 read sha256:\(Self.digest("one"))\n"
        try write(kept + "till-2 read sha256:\(Self.digest("two"))\n", path)
        let keys = try APIKeys(
            file: path, reloadInterval: .zero,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let (readings, source) = AsyncStream<Reading>.makeStream()
        let running = try await Topology("events") {
            ServerSettings(port: 0, access: AccessControl(keys))
            EventStream("readings", from: .sequence(readings))
                .sink(.serverSentEvents("/out", port: 0))
        }.start(.quiet())
        func listen(_ key: String) async throws -> RawClient {
            let client = try await RawClient.connect(to: running.web, on: Loop.shared())
            try await client.send("GET /out HTTP/1.1\r\nHost: h\r\nX-API-Key: \(key)\r\n\r\n")
            _ = await client.receive { String(decoding: $0, as: UTF8.self).contains("retry:") }
            return client
        }
        let (first, second) = (try await listen("one"), try await listen("two"))
        try write(kept, path)
        // It ends by itself.
        let rest = await second.receive()
        #expect(!String(decoding: rest, as: UTF8.self).contains("data:"))
        source.yield(Reading(id: 1, value: 1))
        _ = await first.receive { String(decoding: $0, as: UTF8.self).contains(#""id":1"#) }
        source.finish()
        try await running.drain()
    }
}
