import Foundation
import HTTPTypes
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A server with access control` {
    private func start(
        _ lines: Recorder<String> = Recorder(), _ change: (inout AccessControl) -> Void = { _ in }
    ) async throws -> TestServer {
        var access = AccessControl(WordsAuthenticator())
        change(&access)
        let test = try await TestServer { [access] in
            $0.access = access
            $0.logger = RecordedLog.logger(lines)
        }
        test.server.addHandler(.post, "/steer") { .text("\($0.identity?.name ?? "nobody")") }
        test.server.addHandler(.get, "/who") { .text("\($0.identity?.name ?? "nobody")") }
        return test
    }

    @Test func `guards a folder's index under all its names`() async throws {
        let files = try Folder()
        try FileManager.default.createDirectory(
            atPath: "\(files.path)/admin", withIntermediateDirectories: true)
        for name in ["index.html", "admin/index.html", "admin/a.txt"] {
            try "x".write(toFile: "\(files.path)/\(name)", atomically: false, encoding: .utf8)
        }
        let test = try await start {
            $0.routes["/app/admin/index.html"] = .operate
        }
        test.server.addFolder("/app/", StaticFolder(files.path))
        for path in ["/app/admin/index.html", "/app/admin/", "/app/%61dmin/", "/app/admin/?x"] {
            #expect(try await ask(test.address, path, token: "anna:read").status == 403, "\(path)")
        }
        #expect(
            try await ask(test.address, "/app/admin/index.html", token: "anna:operate").status
                == 200)
        for path in ["/app/", "/app/index.html", "/app/admin/a.txt"] {
            #expect(try await ask(test.address, path, token: "anna:read").status == 200, "\(path)")
        }
        await test.stop()
    }

    @Test func `asks for credentials and says how to show them`() async throws {
        let lines = Recorder<String>()
        let test = try await start(lines)
        let missing = try await ask(test.address, "/who")
        #expect(missing.status == 401 && missing.challenge == #"Bearer realm="weir""#)
        #expect(missing.body.contains(#""status":401"#))
        let wrong = try await ask(test.address, "/who", token: "5ecret")
        #expect(wrong.status == 401)
        #expect(wrong.challenge == #"Bearer realm="weir", error="invalid_token""#)
        #expect(try await ask(test.address, "/who", token: "old").status == 401)
        #expect(try await ask(test.address, "/who", token: "down").status == 503)
        #expect(try await ask(test.address, "/who", key: "5ecret").status == 401)
        #expect(try await ask(test.address, "/nothing").status == 404)
        let counts = test.server.counters.accessRefused
        #expect(counts == ["missing": 1, "invalid": 2, "expired": 1, "unavailable": 1])
        let log = await lines.wait(for: 5)
        #expect(log.count == 5 && log.allSatisfy { $0.hasPrefix("access refused at=/who peer=") })
        #expect(!log.contains { $0.contains("5ecret") })
        await test.stop()
    }

    @Test func `lets in whoever has the role, and nobody else`() async throws {
        let test = try await start { $0.routes = ["/free": []] }
        test.server.addPage("/free", .text("free"))
        let url = test.address
        #expect(try await ask(url, "/who", token: "anna:read").body == "anna")
        #expect(try await ask(url, "/", token: "anna:read").status == 200)
        let forbidden = try await ask(url, "/steer", token: "anna:read", method: .post)
        #expect(forbidden.status == 403)
        #expect(forbidden.challenge == #"Bearer realm="weir", error="insufficient_scope""#)
        #expect(try await ask(url, "/who", token: "bert:operate").status == 403)
        #expect(
            try await ask(url, "/steer", token: "bert:operate", method: .post) == (200, "bert", nil)
        )
        #expect(try await ask(url, "/free").body == "free")
        #expect(test.server.counters.accessRefused == ["forbidden": 2])
        await test.stop()
    }

    @Test func `lets a request with its body wait for an authenticator that takes its time`()
        async throws
    {
        let test = try await start()
        test.server.addHandler(.post, "/length", roles: .ingest) { .text("\($0.body.count)") }
        let client = try await RawClient.connect(to: test.address, on: test.loop)
        let body = String(repeating: "x", count: 100_000)
        var text = ""
        for (token, close) in [("anna:ingest", ""), ("anna:read", "Connection: close\r\n")] {
            text += "POST /length HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer later \(token)\r\n"
            text += "\(close)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        try await client.send(text)
        let answers = PostClient.answers(await client.receiveText())
        #expect(answers.map(\.status) == [200, 403])
        #expect(answers[0].body == "100000")
        await test.stop()
    }

    @Test(.timeLimit(.minutes(1)))
    func `forgets a request that had to wait for an authenticator`() async throws {
        let gone = Recorder<Bool>()
        func serve() async throws {
            let test = try await start()
            let kept = Kept(gone)
            test.server.addHandler(.get, "/kept") { _ in .text("\(kept.gone.values.count)") }
            let answer = try await ask(test.address, "/kept", token: "later anna:read")
            #expect(answer.body == "0")
            await test.stop()
        }
        try await serve()
        await gone.wait(for: 1)
    }

    @Test func `refuses credentials in a query beside others`() async throws {
        let test = try await start { $0.queryParameter = "token" }
        let path = "/who?token=anna:read"
        #expect(try await ask(test.address, path).body == "anna")
        #expect(try await ask(test.address, path, token: "bert:read").status == 400)
        #expect(try await ask(test.address, path, key: "anna:read").status == 400)
        #expect(try await ask(test.address, "/who?x=1", token: "bert:read").body == "bert")
        await test.stop()
    }

    @Test func `does not confuse the requests of one connection`() async throws {
        let test = try await start { $0.routes = ["/open": []] }
        test.server.addHandler(.get, "/open") { .text("\($0.identity?.name ?? "nobody")") }
        let client = try await RawClient.connect(to: test.address, on: test.loop)
        func get(_ path: String, _ header: String = "") -> String {
            "GET \(path) HTTP/1.1\r\nHost: h\r\n\(header)\r\n"
        }
        try await client.send(
            get("/who", "Authorization: Bearer anna:read\r\n") + get("/open") + get("/who")
                + get("/who", "Authorization: Bearer later bert:read\r\n")
                + get("/who", "Authorization: Bearer a:read\r\nX-API-Key: b\r\n"))
        let answers = PostClient.answers(await client.receiveText())
        #expect(answers.map(\.status) == [200, 200, 401, 200, 400])
        #expect(answers.map(\.body).filter { $0.utf8.count < 9 } == ["anna", "nobody", "bert"])
        await test.stop()
    }

    @Test func `guards the files of a folder whatever their names are written like`() async throws {
        let folder = try Folder()
        for name in ["open.txt", "closed.txt"] {
            try name.write(toFile: "\(folder.path)/\(name)", atomically: false, encoding: .utf8)
        }
        let test = try await start {
            $0.routes = ["/files/": [], "/files/closed.txt": .operate]
        }
        test.server.addFolder("/files/", StaticFolder(folder.path))
        #expect(try await ask(test.address, "/files/open.txt").body == "open.txt")
        for path in ["/files/closed.txt", "/files/%63losed.txt", "/files/%2e/closed.txt"] {
            #expect(try await ask(test.address, path).body != "closed.txt")
        }
        #expect(
            try await ask(test.address, "/files/%63losed.txt", token: "a:operate").body
                == "closed.txt")
        await test.stop()
    }

    @Test func `does not start on other addresses when it asks nobody`() async throws {
        for host in ["0.0.0.0", "::"] {
            let server = try NetworkServer(.init(host: host))
            let error = try #require(
                await #expect(throws: NetworkError.self) { _ = try await server.start() })
            #expect(error.message.contains("AccessControl") && error.message.contains(host))
        }
        var configuration = NetworkServer.Configuration(host: "0.0.0.0")
        configuration.access = .open
        let server = try NetworkServer(configuration)
        #expect(try await server.start().port > 0)
        await server.stop()
        let web = Topology("web") {
            EventStream("in", from: .http("/in", host: "0.0.0.0", port: 0, as: Reading.self))
                .sink(.discard)
        }
        await #expect(throws: NetworkError.self) { _ = try await web.start(.quiet()) }
        let lines = Topology("lines") {
            EventStream("in", from: .tcp(host: "0.0.0.0", port: 0, as: Reading.self)).sink(.discard)
        }
        await #expect(throws: NetworkError.self) { _ = try await lines.start(.quiet()) }
    }

    @Test func `is set up once for a port of a topology, before its sinks listen`() async throws {
        func topology(_ count: Int) -> Topology {
            Topology("web") {
                EventStream("in", from: .http("/in", host: "0.0.0.0", port: 0, as: Reading.self))
                    .sink(.webSocket("/out", host: "0.0.0.0", port: 0))
                for _ in 0..<count {
                    ServerSettings(
                        host: "0.0.0.0", port: 0, access: AccessControl(WordsAuthenticator()))
                }
                Operations(host: "0.0.0.0", port: 0)
            }
        }
        await #expect(throws: NetworkError.self) { _ = try await topology(2).start(.quiet()) }
        let running = try await topology(1).start(.quiet())
        let port = try #require(running.addresses["http://0.0.0.0:0"]).port
        let address = try #require(SocketAddress(ip: "127.0.0.1", port: port))
        #expect(try await ask(address, "/healthz").status == 200)
        #expect(try await ask(address, "/metrics").status == 401)
        let metrics = try await ask(address, "/metrics", token: "anna:read")
        #expect(metrics.status == 200)
        #expect(metrics.body.contains(#"weir_access_refused_total{server="http://0.0.0.0:0""#))
        let post = try await ask(
            address, "/in", token: "anna:read", method: .post, body: #"{"id":1,"value":1}"#)
        #expect(post.status == 403)
        let fine = try await ask(
            address, "/in", token: "a:ingest", method: .post, body: #"{"id":1,"value":1}"#)
        #expect(fine.status == 202)
        try await running.drain()
    }
}
