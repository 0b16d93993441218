import HTTPTypes
import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A server's handlers` {
    /// A server with handlers that echo, wait for ever, fail, and one with a small body limit.
    private func server(
        _ change: (inout NetworkServer.Configuration) -> Void = { _ in }
    ) async throws -> TestServer {
        let test = try await TestServer(change)
        test.server.addHandler(.post, "/body") { request in
            HTTPReply(
                status: 200, contentType: "text/plain",
                body: request.body + Array((request.trailer["T"] ?? "").utf8))
        }
        test.server.addHandler(.get, "/facts") { request in
            .text("\(request.request.path ?? "") \(request.request.authority ?? "")")
        }
        test.server.addHandler(.get, "/never") { _ in
            try await Task.sleep(for: .seconds(1_000))
            return .text("")
        }
        test.server.addHandler(.get, "/error") { _ in throw NetworkError(.closed, "secret") }
        test.server.addHandler(.get, "/problem") { _ in
            throw HTTPProblem(409, "it is \"there\"").with("line", .number(3))
        }
        var limits = HTTPBodyLimits()
        limits.maximumLength = 4
        test.server.addHandler(.post, "/small", limits: limits) { _ in .text("small") }
        return test
    }

    private func exchange(
        _ text: String, _ change: (inout NetworkServer.Configuration) -> Void = { _ in }
    ) async throws -> (text: String, counters: ServerCounters) {
        let test = try await server(change)
        let client = try await RawClient.connect(to: test.address, on: test.loop)
        try await client.send(text)
        let answer = await client.receiveText()
        let counters = test.server.counters
        await test.stop()
        return (answer, counters)
    }

    private static let end = "GET /facts?x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    @Test func `get bodies by length and in chunks, one request behind the other`() async throws {
        let answer = try await exchange(
            "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                + "POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2\r\nde\r\n1;x\r\nf\r\n0\r\nT: g\r\n\r\n" + Self.end
        ).text
        let bodies = answer.split(separator: "HTTP/1.1 200 OK").map {
            $0.split(separator: "\r\n\r\n")[1]
        }
        #expect(bodies == ["abc", "defg", "/facts?x h"])
    }

    @Test func `see no difference in how the bytes are cut`() async throws {
        let text =
            "POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            + Self.end
        let test = try await server()
        let whole = try await RawClient.connect(to: test.address, on: test.loop)
        try await whole.send(text)
        let undated = { (text: String) in
            text.split(separator: "\r\n").filter { !$0.hasPrefix("Date") }
        }
        let expected = undated(await whole.receiveText())
        for cut in stride(from: 1, to: text.utf8.count, by: 5) {
            let client = try await RawClient.connect(to: test.address, on: test.loop)
            let bytes = Array(text.utf8)
            try await client.send(Array(bytes[..<cut]))
            await Task.yield()
            try await client.send(Array(bytes[cut...]))
            #expect(undated(await client.receiveText()) == expected)
        }
        await test.stop()
    }

    @Test func `are asked before a client sends a body that it announces`() async throws {
        let test = try await server()
        let client = try await RawClient.connect(to: test.address, on: test.loop)
        try await client.send(
            "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        let first = await client.receive { $0.suffix(4) == [13, 10, 13, 10] }
        #expect(String(decoding: first, as: UTF8.self) == "HTTP/1.1 100 Continue\r\n\r\n")
        try await client.send("ok" + Self.end)
        #expect(await client.receiveText().contains("\r\n\r\nokHTTP/1.1 200"))
        await test.stop()
    }

    @Test func `don't ask for a body that is refused`() async throws {
        let (answer, _) = try await exchange(
            "POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 413 "))
        #expect(answer.contains("Connection: close\r\n"))
    }

    @Test(arguments: [
        ("POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde", 413, false),
        (
            "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
            413,
            true
        ),
        ("POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400, true),
        (
            "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400, true
        ),
        ("PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na", 405, false),
        ("POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na", 404, false),
        ("GET /error HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 500, false),
    ])
    func `answer with a problem and close`(
        _ text: String, _ status: Int, _ isViolation: Bool
    ) async throws {
        let (answer, counters) = try await exchange(text + (status == 500 ? "" : Self.end))
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        #expect(answer.contains("Content-Type: application/problem+json\r\n"))
        #expect(answer.contains("Connection: close\r\n"))
        #expect(answer.contains(#""status":\#(status),"#))
        #expect(!answer.contains("secret"))
        // What follows is not looked at.
        #expect(!answer.contains("/facts?x h"))
        #expect(counters.protocolErrors == (isViolation ? [status: 1] : [:]))
        #expect(counters.rejected == (isViolation ? [:] : [status: 1]))
    }

    @Test func `name the methods that a path allows`() async throws {
        let (answer, _) = try await exchange(
            "DELETE /facts HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(answer.contains("Allow: GET, HEAD\r\n"))
    }

    @Test func `answer HEAD as GET without the body`() async throws {
        let (answer, _) = try await exchange(
            "HEAD /facts HTTP/1.1\r\nHost: h\r\n\r\nHEAD /nothing HTTP/1.1\r\nHost: h\r\n\r\n"
                + Self.end)
        let heads = answer.split(separator: "HTTP/1.1 ").map { String($0.prefix(3)) }
        #expect(heads == ["200", "404", "200"])
        #expect(answer.contains("Content-Length: 8\r\n"))
        #expect(!answer.contains("/facts h"))
    }

    @Test func `tell problems of their own`() async throws {
        let (answer, _) = try await exchange(
            "GET /problem HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(
            answer.hasSuffix(
                #"{"type":"about:blank","title":"Conflict","status":409,"#
                    + #""detail":"it is \"there\"","line":3}"# + "\n"))
    }

    @Test func `speak to an old client`() async throws {
        let (answer, _) = try await exchange(
            "GET /facts HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /facts HTTP/1.0\r\n\r\n")
        let parts = answer.split(separator: "HTTP/1.1 200 OK")
        #expect(parts.count == 2)
        #expect(parts[0].contains("Connection: keep-alive\r\n"))
        #expect(parts[1].contains("Connection: close\r\n"))
    }

    @Test func `close a client whose body does not come`() async throws {
        let (answer, counters) = try await exchange(
            "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"
        ) { $0.bodyTimeout = .milliseconds(50) }
        #expect(answer.hasPrefix("HTTP/1.1 408 "))
        #expect(counters.bodyTimeouts == 1)
    }

    @Test func `are given up when they take too long`() async throws {
        let (answer, counters) = try await exchange("GET /never HTTP/1.1\r\nHost: h\r\n\r\n") {
            $0.answerTimeout = .milliseconds(50)
        }
        #expect(answer.hasPrefix("HTTP/1.1 503 "))
        #expect(counters.answerTimeouts == 1)
    }

    @Test func `still answer a client that has ended its side`() async throws {
        let test = try await server()
        let client = try await RawClient.connect(to: test.address, on: test.loop)
        try await client.send("GET /facts HTTP/1.1\r\nHost: h\r\n\r\n")
        try await client.endSending()
        // The client lingers: it only throws away what comes, so the server's count is looked at.
        _ = await client.receive()
        #expect(test.server.counters.requests == 1)
        await test.stop()
    }
}
