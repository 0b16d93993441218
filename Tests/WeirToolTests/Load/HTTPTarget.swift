import Synchronization
import WeirNetwork

@testable import WeirTool

/// A TCP server whose connections a test attaches to.
final class ScriptedServer: Sendable {
    let port: Int
    private let loop: Loop
    private let listener: LoopBound<TCPListener>

    /// - Parameter attach: Gets each connection and its number from 0.
    init(_ attach: @escaping @Sendable (TCPConnection, Int) -> Void) async throws {
        let loop = try Loop(name: "scripted-server")
        let counter = Counter()
        listener = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPListener.listen(.init(), on: loop) { connection in
                    attach(connection, counter.next())
                } completion: { result in
                    continuation.resume(
                        with: result.map { LoopBound($0, on: loop) }.mapError { $0 })
                }
            }
        }
        let bound = listener
        port = try await loop.run { bound.value.address.port }
        self.loop = loop
    }

    func stop() async { await loop.stop() }
}

/// Counts from 0.
final class Counter: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock { count in
            defer { count += 1 }
            return count
        }
    }

    var value: Int { count.withLock { $0 } }
}

/// An HTTP server that answers as a test says, byte by byte.
final class HTTPTarget: LoadedServer {
    struct Request: Sendable {
        /// The request's number in all, and its connection's, from 0.
        let number: Int
        let connection: Int
        let head: HTTPRequestHead
        let body: String
    }

    enum Answer: Sendable {
        case send(String)
        case sendAndClose(String)
        case close
        case nothing

        /// A response with a body of five bytes.
        static func status(_ status: Int) -> Answer {
            .send("HTTP/1.1 \(status) X\r\nContent-Length: 5\r\n\r\nhello")
        }
    }

    let url: String
    let echoes = false
    let connections = 2
    private let server: ScriptedServer
    private let log: RequestLog

    init(_ answer: @escaping @Sendable (Request) -> Answer = { _ in .status(200) }) async throws {
        let log = RequestLog()
        server = try await ScriptedServer { connection, number in
            let peer = HTTPPeer(number, log, answer)
            connection.handler = peer
            connection.resumeReading()
        }
        self.log = log
        url = "http://127.0.0.1:\(server.port)/load?a=b"
    }

    var requests: [Request] { log.values }

    func stop() async { await server.stop() }
}

final class RequestLog: Sendable {
    private let stored = Mutex<[HTTPTarget.Request]>([])

    var values: [HTTPTarget.Request] { stored.withLock { $0 } }

    func append(_ connection: Int, _ head: HTTPRequestHead, _ body: String) -> HTTPTarget.Request {
        stored.withLock { requests in
            let request = HTTPTarget.Request(
                number: requests.count, connection: connection, head: head, body: body)
            requests.append(request)
            return request
        }
    }
}

private final class HTTPPeer: TCPConnectionHandler {
    private let number: Int
    private let log: RequestLog
    private let answer: (HTTPTarget.Request) -> HTTPTarget.Answer
    private var reader = HTTPHeadReader()
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(
        _ number: Int, _ log: RequestLog,
        _ answer: @escaping (HTTPTarget.Request) -> HTTPTarget.Answer
    ) {
        self.number = number
        self.log = log
        self.answer = answer
    }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        var position = 0
        while position < bytes.count || isComplete {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
            do {
                if head == nil {
                    position += try reader.consume(rest) { bytes throws(HTTPError) in
                        head = try HTTPRequestHead(parsing: bytes)
                    }
                } else if !isComplete {
                    let count = min(rest.count, (head?.bodyLength ?? 0) - body.count)
                    body.append(contentsOf: rest.prefix(count))
                    position += count
                }
            } catch {
                connection.close()
                return bytes.count
            }
            if isComplete { finish(connection) }
        }
        return bytes.count
    }

    private var isComplete: Bool {
        guard let head else { return false }
        return body.count == head.bodyLength ?? 0
    }

    private func finish(_ connection: TCPConnection) {
        guard let head else { return }
        let request = log.append(number, head, String(decoding: body, as: UTF8.self))
        self.head = nil
        body = []
        switch answer(request) {
        case .send(let text): connection.write(text)
        case .sendAndClose(let text):
            connection.write(text)
            connection.closeGracefully()
        case .close: connection.close()
        case .nothing: break
        }
    }
}
