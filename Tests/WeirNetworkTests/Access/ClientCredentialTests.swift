import HTTPTypes
import Synchronization
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

/// A server that gives out tokens, and what it was asked.
private struct TokenServer {
    let test: TestServer
    let asked = Recorder<String>()
    /// Who wants a token, in the test in which an answer waits for all of them.
    let waiting = Recorder<Int>()
    let answers: Answers

    final class Answers: Sendable {
        private let state = Mutex((count: 0, lifetime: 3_600, status: 200))

        func set(lifetime: Int? = nil, status: Int? = nil) {
            state.withLock { state in
                state.lifetime = lifetime ?? state.lifetime
                state.status = status ?? state.status
            }
        }

        func next() -> HTTPReply {
            state.withLock { state in
                guard state.status == 200 else { return .text("secret page", status: state.status) }
                state.count += 1
                let body =
                    #"{"access_token":"t\#(state.count)","token_type":"Bearer","#
                    + #""expires_in":\#(state.lifetime)}"#
                return HTTPReply(contentType: "application/json", body: body.utf8)
            }
        }
    }

    /// The first answer waits until so many want it.
    init(awaited: Int = 0) async throws {
        let answers = Answers()
        self.answers = answers
        test = try await TestServer()
        let asked = asked
        let waiting = waiting
        test.server.addHandler(.post, "/token") { request in
            let who = request.request.headerFields[.authorization] ?? "-"
            asked.append("\(who) \(String(decoding: request.body, as: UTF8.self))")
            _ = await waiting.wait(for: awaited)
            return answers.next()
        }
    }

    func credentials(
        _ change: (inout OAuth2ClientCredentials.Options) -> Void = { _ in }
    ) throws -> OAuth2ClientCredentials {
        var options = OAuth2ClientCredentials.Options()
        // The machine may be slow; what is tested here is not.
        options.client.responseTimeout = .seconds(240)
        change(&options)
        return try OAuth2ClientCredentials(
            tokenURL: "http://\(test.address)/token", clientID: "till 7", clientSecret: "5e:cret",
            scope: "ingest read", audience: "weir", options: options)
    }
}

@Suite(.timeLimit(.minutes(5))) struct `Client credentials` {
    @Test func `are asked for once, whoever wants them, and kept`() async throws {
        let server = try await TokenServer(awaited: 20)
        let credentials = try server.credentials()
        let tokens = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<20 {
                group.addTask {
                    server.waiting.append(number)
                    return try await credentials.token()
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(tokens == ["t1"])
        #expect(try await credentials.token() == "t1")
        // RFC 6749, 2.3.1: both parts are encoded before they are joined.
        let expected = "Basic " + WebSocketHandshake.base64(Array("till%207:5e%3Acret".utf8))
        #expect(
            server.asked.values == [
                "\(expected) grant_type=client_credentials&scope=ingest%20read&audience=weir"
            ])
        credentials.forget("other")
        #expect(try await credentials.token() == "t1")
        credentials.forget("t1")
        #expect(try await credentials.token() == "t2")
        #expect(!"\(credentials) \(String(reflecting: credentials))".contains("cret"))
        await server.test.stop()
    }

    @Test func `are renewed before they end, and fail without a word of the secret`() async throws {
        let server = try await TokenServer()
        server.answers.set(lifetime: 0)
        let credentials = try server.credentials { $0.retryDelay = .zero }
        #expect(try await credentials.token() == "t1")
        #expect(try await credentials.token() == "t2")
        server.answers.set(status: 500)
        let error = await #expect(throws: NetworkError.self) { _ = try await credentials.token() }
        #expect(error?.description.contains("500") == true)
        #expect(error?.description.contains("secret") == false)
        let patient = try server.credentials { $0.retryDelay = .seconds(3_600) }
        let before = server.asked.values.count
        for _ in 0..<5 {
            await #expect(throws: NetworkError.self) { _ = try await patient.token() }
        }
        #expect(server.asked.values.count == before + 1)
        #expect(throws: NetworkError.self) {
            _ = try OAuth2ClientCredentials(
                tokenURL: "http://login.example/token", clientID: "a", clientSecret: "b")
        }
        await server.test.stop()
    }

    @Test func `that a server refuses are got anew`() async throws {
        let server = try await TokenServer()
        let credentials = try server.credentials()
        let shown = Recorder<String>()
        server.test.server.addHandler(.get, "/who") { request in
            let token = request.request.headerFields[.authorization] ?? "-"
            shown.append(token)
            if token == "Bearer t1" { throw HTTPProblem(401, "no more") }
            return .text("fine")
        }
        var configuration = HTTPClient.Configuration()
        configuration.authorization = .clientCredentials(credentials)
        let client = try HTTPClient(configuration)
        let url = "http://\(server.test.address)/who"
        #expect(try await client.send(.get, url).response.status == .unauthorized)
        #expect(try await client.send(.get, url).response.status == .ok)
        #expect(shown.values == ["Bearer t1", "Bearer t2"])
        await server.test.stop()
    }

    @Test func `with a line break are not sent`() async throws {
        let server = try await TokenServer()
        var configuration = HTTPClient.Configuration()
        configuration.authorization = .bearer("a\r\nX: y")
        let client = try HTTPClient(configuration)
        let error = await #expect(throws: NetworkError.self) {
            _ = try await client.send(.get, "http://\(server.test.address)/")
        }
        #expect(error?.code == .invalidArgument)
        await server.test.stop()
    }
}

@Suite(.timeLimit(.minutes(5))) struct `An HTTP client with TLS` {
    @Test func `checks the server and shows who it is`() async throws {
        let certificates = try await Certificates.shared
        let server = try await TestServer {
            $0.tls = certificates.server(clients: "ca")
            $0.access = AccessControl(CertificateIdentities(roles: .read))
        }
        server.server.addHandler(.get, "/who") { .text($0.identity?.name ?? "nobody") }
        let url = "https://localhost:\(server.address.port)/who"
        var configuration = HTTPClient.Configuration()
        configuration.tls = try TLSClientContext(certificates.client("client"))
        let client = try HTTPClient(configuration)
        for _ in 0..<2 {
            let answer = try await client.send(.get, url)
            #expect(String(decoding: answer.body, as: UTF8.self) == "till-7")
        }
        // Without trust in the test's authority, and for a server with another name.
        await #expect(throws: NetworkError.self) {
            _ = try await HTTPClient().send(.get, url)
        }
        var elsewhere = certificates.client("client")
        elsewhere.serverName = "elsewhere.test"
        configuration.tls = try TLSClientContext(elsewhere)
        let stranger = try HTTPClient(configuration)
        let error = await #expect(throws: NetworkError.self) {
            _ = try await stranger.send(.get, url)
        }
        #expect(error?.code == .certificateRefused)
        await server.stop()
    }

    @Test func `carries server-sent events`() async throws {
        let certificates = try await Certificates.shared
        let tls = certificates.server()
        let (events, input) = AsyncStream.makeStream(of: Reading.self)
        let feed = Topology("feed") {
            ServerSettings(port: 0, access: AccessControl(WordsAuthenticator()))
            EventStream("out", from: .sequence(events))
                .sink(.serverSentEvents("/events", port: 0, tls: tls))
        }
        let serving = try await feed.start(.quiet())
        let port = try #require(serving.addresses["https://127.0.0.1:0"]).port
        for id in 1...3 { input.yield(Reading(id: id, value: 1)) }
        var options = ServerSentEventSourceOptions()
        options.tls = try TLSClientContext(certificates.client())
        options.authorization = .bearer("anna:read")
        options.headers["Last-Event-ID"] = "x-0"
        let seen = Recorder<Int>()
        let reading = Topology("reading") { [options] in
            EventStream(
                "in",
                from: .serverSentEvents(
                    from: "https://localhost:\(port)/events", as: Reading.self, options: options)
            ).map(\.id).sink(seen.sink)
        }
        let running = try await reading.start(.quiet())
        // What is kept comes to whoever says to have been there before.
        #expect(await seen.wait(for: 3) == [1, 2, 3])
        input.yield(Reading(id: 4, value: 1))
        #expect(await seen.wait(for: 4) == [1, 2, 3, 4])
        try await running.drain()
        input.finish()
        try await serving.waitUntilFinished()
    }
}
