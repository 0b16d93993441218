import HTTPTypes
import Testing
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `An HTTP client` {
    /// A server that sends fixed bytes to whoever connects, then closes if it is told to.
    private func answering(
        _ text: String, closes: Bool, _ change: (inout HTTPClient.Configuration) -> Void = { _ in },
        _ method: HTTPRequest.Method = .get
    ) async throws -> (status: Int, body: String) {
        let loop = try Loop()
        let listening: (LoopBound<TCPListener>, SocketAddress) =
            try await withCheckedThrowingContinuation { continuation in
                loop.execute {
                    TCPListener.listen(.init(), on: loop) { connection in
                        connection.handler = Fixed(text, closes)
                        connection.resumeReading()
                    } completion: { result in
                        continuation.resume(
                            with: result.map { (LoopBound($0, on: loop), $0.address) }
                                .mapError { $0 })
                    }
                }
            }
        var configuration = HTTPClient.Configuration()
        change(&configuration)
        let client = try HTTPClient(configuration, loop: loop)
        let result: Result<(response: HTTPResponse, body: [UInt8]), any Error>
        do {
            result = .success(try await client.send(method, "http://\(listening.1)/x"))
        } catch {
            result = .failure(error)
        }
        await loop.stop()
        let answer = try result.get()
        return (answer.response.status.code, String(decoding: answer.body, as: UTF8.self))
    }

    private final class Fixed: TCPConnectionHandler {
        private let text: String
        private let closes: Bool

        init(_ text: String, _ closes: Bool) {
            self.text = text
            self.closes = closes
        }

        func connection(
            _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
        ) -> Int {
            connection.write(text)
            if closes { connection.closeGracefully() }
            return bytes.count
        }
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200, "ok"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, 200,
            "ok"
        ),
        ("HTTP/1.1 200\r\n\r\nok", true, 200, "ok"), ("HTTP/1.0 404 x\r\n\r\n", true, 404, ""),
        ("HTTP/1.1 204 No\r\n\r\n", false, 204, ""),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n", false, 201,
            ""
        ),
    ])
    func `reads an answer`(
        _ text: String, _ closes: Bool, _ status: Int, _ body: String
    ) async throws {
        let answer = try await answering(text, closes: closes)
        #expect(answer.status == status)
        #expect(answer.body == body)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding:\r\n\r\nok", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            false
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", false),
        ("HTTP/2 200\r\n\r\n", false), ("SSH-2.0-x\r\n", false), ("", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\n", false),
    ])
    func `refuses an answer that is wrong or incomplete`(
        _ text: String, _ closes: Bool
    ) async throws {
        await #expect(throws: NetworkError.self) { try await answering(text, closes: closes) }
    }

    @Test func `does not wait for ever`() async throws {
        let late = await #expect(throws: NetworkError.self) {
            try await answering("", closes: false) { $0.responseTimeout = .milliseconds(20) }
        }
        #expect(late?.code == .timedOut)
        let silent = await #expect(throws: NetworkError.self) {
            try await answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", closes: false) {
                $0.idleTimeout = .milliseconds(20)
            }
        }
        #expect(silent?.code == .timedOut)
    }

    @Test func `speaks to a server of its own kind`() async throws {
        let test = try await TestServer()
        test.server.addHandler(.post, "/echo-body") { request in
            HTTPReply(contentType: request.head.headers["Content-Type"], body: request.body)
        }
        let client = try HTTPClient(loop: test.loop)
        let body = [UInt8](repeating: 7, count: 300_000)
        var headers = HTTPFields()
        headers[.contentType] = "application/x-sevens"
        let answer = try await client.send(
            .post, "http://\(test.address)/echo-body", headers: headers, body: body)
        #expect(answer.body == body)
        #expect(answer.response.headerFields[.contentType] == "application/x-sevens")
        await test.stop()
    }

    @Test(arguments: ["ftp://a", "http://", "http://a:0", "http://u@a", "http://a b", "ws://a"])
    func `refuses an address that is wrong`(_ text: String) {
        #expect(throws: NetworkError.self) { try NetworkURL(text, .http) }
    }
}
