import CLibUV

extension TCPConnection {
    /// Connects to a host, trying its addresses in turn; reconnecting is up to the caller.
    ///
    /// The completion runs on the loop's thread, once; it sets the handler and calls
    /// `resumeReading()`. `timeout` covers resolving, connecting and the TLS handshake; 10 s by
    /// default. `tls` speaks TLS; nil, the default, does not.
    public static func connect(
        to host: String, port: Int, on loop: Loop, timeout: Duration = .seconds(10),
        tls: TLSClientContext? = nil,
        completion: @escaping (Result<TCPConnection, NetworkError>) -> Void
    ) {
        loop.preconditionOnLoop()
        Connector(host: host, port: port, tls: tls, loop: loop, completion).start(timeout)
    }
}

/// One attempt to connect, over all addresses of a host.
private final class Connector {
    private let name: String
    private let host: String
    private let port: Int
    private let tls: TLSClientContext?
    private let loop: Loop
    private var completion: ((Result<TCPConnection, NetworkError>) -> Void)?
    private var rest: ArraySlice<SocketAddress> = []
    private var socket: SocketHandle?
    /// A connection in its TLS handshake.
    private var handshaking: TCPConnection?
    private var timer: LoopTimer?

    init(
        host: String, port: Int, tls: TLSClientContext?, loop: Loop,
        _ completion: @escaping (Result<TCPConnection, NetworkError>) -> Void
    ) {
        self.name = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        self.host = host
        self.port = port
        self.tls = tls
        self.loop = loop
        self.completion = completion
    }

    func start(_ timeout: Duration) {
        do {
            timer = try LoopTimer(on: loop) { [self] in
                let text = "connecting to \(name) took longer than \(timeout)"
                self.handshaking?.close()
                finish(.failure(NetworkError(.timedOut, text)))
            }
            timer?.start(after: timeout)
        } catch {
            finish(.failure(error))
            return
        }
        Resolver.resolve(host, port: port, on: loop) { [self] result in
            switch result {
            case .success(let addresses):
                rest = addresses[...]
                tryNext(NetworkError(.addressNotAvailable, "\(name) has no address"))
            case .failure(let error):
                finish(.failure(error))
            }
        }
    }

    private func tryNext(_ error: NetworkError) {
        guard completion != nil else { return }
        guard let address = rest.popFirst() else {
            finish(.failure(error))
            return
        }
        let descriptor = address.withSockaddr { cuv_connect($0) }
        guard descriptor >= 0 else { return failed(descriptor) }
        do {
            let socket = try SocketHandle(loop: loop, descriptor: descriptor)
            self.socket = socket
            socket.whenConnected { [self] status in finished(status) }
        } catch {
            finish(.failure(error))
        }
    }

    private func finished(_ status: Int32) {
        guard completion != nil else { return }
        guard status == 0, let socket else {
            failed(status)
            return
        }
        self.socket = nil
        socket.setNoDelay(true)
        let connection = TCPConnection(socket: socket)
        if let tls { secure(connection, tls) } else { finish(.success(connection)) }
    }

    private func secure(_ connection: TCPConnection, _ tls: TLSClientContext) {
        do {
            let engine = try tls.makeEngine(host: host, port: port)
            handshaking = connection
            // The connector's own time covers the handshake too.
            connection.startTLS(engine, timeout: .seconds(24 * 3_600)) {
                [self, unowned connection] result in
                handshaking = nil
                finish(result.map { _ in connection })
            }
        } catch {
            finish(.failure(error))
            connection.close(error)
        }
    }

    private func failed(_ status: Int32) {
        socket?.closeHandle()
        socket = nil
        tryNext(NetworkError(uv: status, "connecting to", name))
    }

    private func finish(_ result: Result<TCPConnection, NetworkError>) {
        guard let completion else { return }
        self.completion = nil
        timer?.close()
        timer = nil
        socket?.closeHandle()
        socket = nil
        completion(result)
        if case .success(let connection) = result, connection.handler == nil { connection.close() }
    }
}
