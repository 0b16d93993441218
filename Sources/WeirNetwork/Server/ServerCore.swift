import Logging

/// The part of a server that lives on its loop: the listener and the open connections.
final class ServerCore {
    let configuration: NetworkServer.Configuration
    let counters: ServerCounterCells
    private var listener: TCPListener?
    private var connections: [ObjectIdentifier: TCPConnection] = [:]
    private var stopWaiters: [() -> Void] = []
    private var stopTimer: LoopTimer?
    private var messageTimer: LoopTimer?
    private var messageLog = LogBudget()
    private var isStarting = false
    let times: Times
    /// Who may do what, and how much; nil when everybody may do everything.
    private(set) var gate: AccessGate?

    /// The configuration's times in the loop's milliseconds.
    struct Times {
        let head: UInt64
        let body: UInt64
        let answer: UInt64
        let keepAlive: UInt64
    }

    init(_ configuration: NetworkServer.Configuration, _ counters: ServerCounterCells) {
        self.configuration = configuration
        self.counters = counters
        times = Times(
            head: configuration.headTimeout.milliseconds,
            body: configuration.bodyTimeout.milliseconds,
            answer: configuration.answerTimeout.milliseconds,
            keepAlive: configuration.keepAliveTimeout.milliseconds)
    }

    func start(
        _ server: NetworkServer,
        _ completion: @escaping (Result<SocketAddress, NetworkError>) -> Void
    ) {
        guard listener == nil, !isStarting else {
            completion(.failure(NetworkError(.invalidArgument, "the server listens already")))
            return
        }
        isStarting = true
        let access = configuration.access ?? .open
        if !access.isOpen || access.identityRate != nil || configuration.rate != nil {
            gate = AccessGate(
                access, connectionRate: configuration.rate, counters, configuration.logger,
                server.loop)
        }
        TCPListener.listen(configuration.listener, on: server.loop) { [self] connection in
            accept(connection, server)
        } completion: { [self] result in
            isStarting = false
            listener = try? result.get()
            listener?.onChange = { [self, weak listener] in
                if let listener { counters.count(listener) }
            }
            if listener != nil { watchMessages(on: server.loop) }
            completion(result.map(\.address))
        }
    }

    /// Closes WebSockets whose peers don't end a message; one timer looks at all of them.
    private func watchMessages(on loop: Loop) {
        let limits = SilenceLimits(message: configuration.messageTimeout)
        guard let limit = limits.message?.milliseconds, let interval = limits.lookInterval else {
            return
        }
        messageTimer = try? LoopTimer(on: loop) { [unowned(unsafe) self] in
            for tcp in connections.values {
                guard let webSocket = tcp.handler as? WebSocketConnection else { continue }
                if webSocket.closeIfLate(after: limit) { tookTooLong(tcp) }
            }
        }
        messageTimer?.start(after: interval, every: interval)
    }

    private func tookTooLong(_ tcp: TCPConnection) {
        counters.messageTimeouts.add(1)
        guard messageLog.take(at: tcp.loop.now) else { return }
        configuration.logger.notice(
            "connection closed: a message that had begun did not end in time",
            metadata: ["origin": "\(tcp.remoteAddress?.description ?? "unknown")"])
    }

    private func accept(_ tcp: TCPConnection, _ server: NetworkServer) {
        do {
            let connection = try HTTPServerConnection(tcp, self, server)
            let key = ObjectIdentifier(tcp)
            connections[key] = tcp
            tcp.onFinished = { [self, unowned tcp] in
                connections[key] = nil
                gate?.forget(tcp)
                if connections.isEmpty { finishStop() }
            }
            tcp.counters = counters
            connection.start()
        } catch {
            tcp.close(error)
        }
    }

    func stop(_ deadline: Duration, _ completion: @escaping () -> Void) {
        listener?.close()
        listener = nil
        messageTimer?.close()
        messageTimer = nil
        gate?.close()
        if connections.isEmpty {
            completion()
            return
        }
        stopWaiters.append(completion)
        for tcp in connections.values {
            if let webSocket = tcp.handler as? WebSocketConnection {
                webSocket.close(.goingAway, reason: "the server stops")
            } else if let connection = tcp.handler as? HTTPServerConnection {
                connection.stop(within: deadline)
            } else {
                tcp.closeGracefully(within: deadline)
            }
        }
        guard let loop = connections.values.first?.loop else { return }
        stopTimer = try? LoopTimer(on: loop) { [self] in
            for tcp in connections.values { tcp.close() }
        }
        stopTimer?.start(after: deadline)
    }

    private func finishStop() {
        stopTimer?.close()
        stopTimer = nil
        let waiters = stopWaiters
        stopWaiters = []
        for waiter in waiters { waiter() }
    }
}
