import Synchronization
import Testing
import WeirNetwork

@testable import WeirTool

/// A server to send loads to.
protocol LoadedServer: Sendable {
    var url: String { get }
    var echoes: Bool { get }
    /// How many connections a load to it has.
    var connections: Int { get }
    func stop() async
}

extension LoadedServer {
    /// A load that takes what time it needs.
    func plan(_ change: (inout LoadPlan) -> Void = { _ in }) throws -> LoadPlan {
        var plan = LoadPlan(target: try LoadTarget(url))
        plan.connections = connections
        plan.rate = 2_000
        plan.duration = .seconds(60)
        plan.expectsEcho = echoes
        plan.grace = .seconds(60)
        change(&plan)
        return plan
    }

    /// Stops, and expects a load to it to say that nobody listens.
    func expectNobodyListens() async throws {
        let plan = try plan()
        await stop()
        let error = await #expect(throws: LoadError.self) { try await LoadRun(plan).run() }
        let scheme = url.prefix { $0 != ":" }
        #expect(error?.description.contains("no connection to \(scheme)://127.0.0.1") == true)
    }
}

/// A server of messages: it notes each message and does with it what a test says.
final class TestTarget: LoadedServer {
    /// Decides, on the server's loop, whether to answer a message and whether to go on.
    struct Behaviour: Sendable {
        var echoes = true
        /// The server does not read for so long after the first message it gets.
        var pauseAfterFirst: Duration?
        var closesAtFirst = false
        var onFirst: @Sendable () -> Void = {}
    }

    let loop: Loop
    let url: String
    let echoes = true
    let connections = 4
    private let server: NetworkServer?
    private let listener: LoopBound<TCPListener>?
    private let texts: Texts

    /// Listens on a WebSocket path.
    init(webSocket behaviour: Behaviour = Behaviour()) async throws {
        let loop = try Loop(name: "test-target")
        let texts = Texts()
        let server = try NetworkServer(.init(), loop: loop)
        server.addWebSocket("/load") { _ in .accept(WebSocketPeer(behaviour, texts)) }
        url = "ws://\(try await server.start())/load"
        self.loop = loop
        self.texts = texts
        self.server = server
        listener = nil
    }

    /// Listens for TCP connections with a framing.
    init<Cutter: Framing & Sendable>(
        tcp framing: Cutter, _ behaviour: Behaviour = Behaviour(),
        wrap: @escaping @Sendable ([UInt8]) -> [UInt8]
    ) async throws {
        let loop = try Loop(name: "test-target")
        let texts = Texts()
        listener = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPListener.listen(.init(), on: loop) { connection in
                    TCPPeer.attach(connection, framing, behaviour, texts, wrap)
                } completion: { result in
                    continuation.resume(
                        with: result.map { LoopBound($0, on: loop) }.mapError { $0 })
                }
            }
        }
        let bound = listener
        let address = try await loop.run { bound?.value.address }
        url = "tcp://\(address?.description ?? "")"
        self.loop = loop
        self.texts = texts
        server = nil
    }

    /// What came, in the order of arrival.
    var messages: [String] { texts.values }

    func stop() async {
        await server?.stop()
        await loop.stop()
    }
}

final class Texts: Sendable {
    private let stored = Mutex<[String]>([])

    var values: [String] { stored.withLock { $0 } }

    /// Returns whether it is the first.
    func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        return stored.withLock { texts in
            texts.append(text)
            return texts.count == 1
        }
    }
}

private final class WebSocketPeer: WebSocketHandler {
    private let behaviour: TestTarget.Behaviour
    private let texts: Texts
    private var timer: LoopTimer?

    init(_ behaviour: TestTarget.Behaviour, _ texts: Texts) {
        self.behaviour = behaviour
        self.texts = texts
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        let isFirst = texts.append(bytes)
        if isFirst { behaviour.onFirst() }
        if isFirst && behaviour.closesAtFirst {
            connection.close(.internalError, reason: "enough")
            return .proceed
        }
        if behaviour.echoes { connection.send(bytes, kind) }
        guard isFirst, let pause = behaviour.pauseAfterFirst else { return .proceed }
        timer = try? LoopTimer(on: connection.loop) { connection.resume() }
        timer?.start(after: pause)
        return .stop
    }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        timer?.close()
    }
}

private enum TCPPeer {
    static func attach<Cutter: Framing>(
        _ connection: TCPConnection, _ framing: Cutter, _ behaviour: TestTarget.Behaviour,
        _ texts: Texts, _ wrap: @escaping ([UInt8]) -> [UInt8]
    ) {
        let reader = FramedReader(
            connection, framing: framing,
            onFrame: { bytes in
                let isFirst = texts.append(bytes)
                if isFirst { behaviour.onFirst() }
                if behaviour.echoes {
                    _ = wrap([UInt8](bytes)).withUnsafeBytes { connection.write($0) }
                }
                // Without an end of the pause nothing is read any more.
                return isFirst && behaviour.pauseAfterFirst != nil ? .stop : .proceed
            })
        reader.resume()
    }
}
