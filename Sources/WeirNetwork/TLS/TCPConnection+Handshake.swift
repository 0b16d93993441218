extension TCPConnection {
    /// Begins TLS on a new connection; the completion runs once, on the loop's thread.
    ///
    /// On success it sets the handler and calls `resumeReading()`. A failed connection closes by
    /// itself, after its alert is sent.
    func startTLS(
        _ engine: TLSEngine, timeout: Duration,
        _ completion: @escaping (Result<TLSInfo, NetworkError>) -> Void
    ) {
        let tls = TLSLayer(engine, onHandshake: completion)
        self.tls = tls
        handler = HandshakeHandler(tls)
        engine.output = { [unowned(unsafe) self] in takeCipher($0) }
        armTimer(after: timeout) { [unowned(unsafe) self] in
            failHandshake(
                tls,
                NetworkError(.timedOut, "the TLS handshake took longer than \(timeout)"))
        }
        // A client speaks first.
        if engine.side == .client { continueHandshake(tls) }
        if phase == .open { startSocket() }
    }

    func continueHandshake(_ tls: TLSLayer) {
        let step = tls.engine.handshake()
        flushCipher()
        guard phase == .open else { return }
        switch step {
        case .needsInput: break
        case .done:
            if let problem = tls.engine.staleness() {
                failHandshake(tls, problem)
                return
            }
            timer?.stop()
            tls.isHandshaking = false
            let info = tls.engine.info
            tlsInfo = info
            handler = nil
            tls.finishHandshake(.success(info))
            if handler == nil { close() }
        case .failed(let error): failHandshake(tls, error)
        }
    }

    private func failHandshake(_ tls: TLSLayer, _ error: NetworkError) {
        guard phase == .open else { return }
        failure = error
        // The peer gets the alert: a close with unread bytes would be a reset.
        finishSending(within: .seconds(1))
        tls.finishHandshake(.failure(error))
    }
}

/// Watches over a connection until its handshake is done.
private final class HandshakeHandler: TCPConnectionHandler {
    private let tls: TLSLayer

    init(_ tls: TLSLayer) { self.tls = tls }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int { bytes.count }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        let error =
            error ?? NetworkError(.closed, "the connection was closed during the TLS handshake")
        tls.finishHandshake(.failure(error))
    }
}
