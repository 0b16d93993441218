import Foundation
import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A static folder` {
    private let folder: String

    init() throws {
        let root = FileManager.default.temporaryDirectory.path + "/weir-folder-\(UUID())"
        folder = root + "/page"
        let files = FileManager.default
        try files.createDirectory(atPath: folder + "/sub", withIntermediateDirectories: true)
        try Data("secret".utf8).write(to: URL(fileURLWithPath: root + "/secret.txt"))
        try Data("<p>".utf8).write(to: URL(fileURLWithPath: folder + "/index.html"))
        try Data("a b".utf8).write(to: URL(fileURLWithPath: folder + "/sub/a b.txt"))
        try Data("hidden".utf8).write(to: URL(fileURLWithPath: folder + "/.hidden"))
        try Data(repeating: 0x61, count: 3_000_000)
            .write(to: URL(fileURLWithPath: folder + "/large.bin"))
        try files.createSymbolicLink(
            atPath: folder + "/link.txt", withDestinationPath: root + "/secret.txt")
        try files.createSymbolicLink(atPath: folder + "/up", withDestinationPath: root)
    }

    private func get(_ target: String, _ headers: String = "", method: String = "GET") async throws
        -> [UInt8]
    {
        let test = try await TestServer()
        test.server.addFolder("/files", StaticFolder(folder))
        let client = try await RawClient.connect(to: test.address, on: test.loop)
        try await client.send(
            "\(method) \(target) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\(headers)\r\n")
        let answer = await client.receive()
        await test.stop()
        return answer
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `shows its files with their types`() async throws {
        let index = text(try await get("/files/"))
        #expect(index.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(index.contains("Content-Type: text/html; charset=utf-8\r\n"))
        #expect(index.hasSuffix("\r\n\r\n<p>"))
        let inner = text(try await get("/files/sub/a%20b.txt"))
        #expect(inner.contains("Content-Type: text/plain") && inner.hasSuffix("a b"))
        let head = text(try await get("/files/index.html", method: "HEAD"))
        #expect(head.contains("Content-Length: 3\r\n") && head.hasSuffix("\r\n\r\n"))
    }

    @Test(arguments: [
        "/files/../secret.txt", "/files/%2e%2e/secret.txt", "/files/%2E%2E%2Fsecret.txt",
        "/files/sub/../../secret.txt", "/files/..%5csecret.txt", "/files/%00", "/files/.hidden",
        "/files/link.txt", "/files/up/secret.txt", "/files/sub", "/files/none",
        "/files//index.html",
        "/files/%zz", "/files/%", "/files/%ff", "/files/./index.html", "/filesindex.html",
    ])
    func `shows nothing outside of it`(_ target: String) async throws {
        let answer = text(try await get(target))
        #expect(answer.hasPrefix("HTTP/1.1 404 "))
        #expect(!answer.contains("secret\n") && !answer.hasSuffix("secret"))
    }

    @Test func `sends a large file whole`() async throws {
        let answer = try await get("/files/large.bin")
        #expect(answer.suffix(3_000_000).allSatisfy { $0 == 0x61 })
        #expect(text(Array(answer.prefix(600))).contains("Content-Length: 3000000\r\n"))
    }

    /// A server that answers with a file larger than kernels keep, and the connections it answers on.
    private func serveHuge(
        _ answering: Recorder<LoopBound<HTTPServerConnection>>
    ) async throws -> (TestServer, size: Int) {
        let size = 32 << 20
        let path = folder + "/huge.bin"
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.truncate(atOffset: UInt64(size))
        try file.close()
        let test = try await TestServer { $0.minimumBodyRate = 0 }
        let (folder, loop) = (StaticFolder(folder), test.loop)
        test.server.addResponder("GET", "/huge", roles: []) { request, connection in
            guard let head = try? HTTPRequestHead(request) else {
                return .refuse(HTTPProblem(400, "no head"))
            }
            answering.append(LoopBound(connection, on: loop))
            return .receive(
                FolderAnswer(folder, ["huge.bin"], head, loop), HTTPBodyLimits())
        }
        return (test, size)
    }

    private func headLength(of answer: [UInt8]) -> Int {
        text(Array(answer.prefix(600))).split(separator: "\r\n\r\n")[0].utf8.count + 4
    }

    /// Whether there is an `H`, as an answer begins with it, in a file of zeros.
    private func holdsText(_ body: ArraySlice<UInt8>) -> Bool {
        body.withUnsafeBytes { bytes in
            bytes.baseAddress.map { memchr($0, 0x48, bytes.count) != nil } ?? false
        }
    }

    private static let hugeRequest = "GET /huge HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    @Test func `sends a file beyond the time for an answer as long as the peer reads`() async throws
    {
        let answering = Recorder<LoopBound<HTTPServerConnection>>()
        let (test, size) = try await serveHuge(answering)
        let client = try await RawClient.connect(to: test.address, on: test.loop)
        try await client.send(Self.hugeRequest)
        let connection = await answering.wait(for: 1)[0]
        for count in [1 << 20, 16 << 20] {
            _ = await client.receive(count: count)
            // The time is over, and the peer has read since the last look.
            try await test.loop.run { connection.value.clock.onFire() }
        }
        let answer = await client.receive()
        let head = headLength(of: answer)
        #expect(answer.count == head + size && !holdsText(answer[head...]))
        #expect(test.server.counters.answerTimeouts == 0)
        await test.stop()
    }

    @Test func `cuts a file whose peer reads no more, without a word in it`() async throws {
        let answering = Recorder<LoopBound<HTTPServerConnection>>()
        let (test, size) = try await serveHuge(answering)
        let client = try await RawClient.connect(
            to: test.address, on: test.loop, isReading: false)
        try await client.send(Self.hugeRequest)
        let connection = await answering.wait(for: 1)[0]
        while test.server.counters.answerTimeouts == 0 {
            try await test.loop.run {
                let connection = connection.value
                if connection.tcp.sentByteCount > 0 { connection.clock.onFire() }
            }
        }
        try await client.startReading()
        let answer = await client.receive()
        #expect(answer.count < size && !holdsText(answer[headLength(of: answer)...]))
        await test.stop()
    }

    @Test func `says when the client has the file already`() async throws {
        let first = text(try await get("/files/"))
        let tag = first.split(separator: "ETag: ")[1].prefix { $0 != "\r\n" }
        let date = first.split(separator: "Last-Modified: ")[1].prefix { $0 != "\r\n" }
        for header in [
            "If-None-Match: \(tag)\r\n", "If-None-Match: \"x\", W/\(tag)\r\n",
            "If-None-Match: *\r\n", "If-Modified-Since: \(date)\r\n",
        ] {
            let answer = text(try await get("/files/", header))
            #expect(answer.hasPrefix("HTTP/1.1 304 Not Modified\r\n"))
            #expect(answer.hasSuffix("\r\n\r\n") && !answer.contains("Content-Length"))
        }
        let changed = text(try await get("/files/", "If-None-Match: \"x\"\r\n"))
        #expect(changed.hasPrefix("HTTP/1.1 200 "))
    }

    @Test func `is read only`() async throws {
        let answer = text(try await get("/files/index.html", method: "POST"))
        #expect(answer.hasPrefix("HTTP/1.1 405 ") && answer.contains("Allow: GET, HEAD\r\n"))
    }
}
