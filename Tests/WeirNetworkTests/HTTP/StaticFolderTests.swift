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
