import COpenSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// One side of a TLS connection without its socket: encrypted bytes in and out, plain bytes out and
/// in.
///
/// OpenSSL reads what ``input`` points to and gives what it wants to send to ``output``, through a
/// BIO of memory that is the caller's: nothing is buffered between. Used on one thread at a time.
final class TLSEngine {
    enum HandshakeStep {
        case needsInput
        case done
        case failed(NetworkError)
    }

    enum ReadStep {
        case bytes(Int)
        case needsInput
        /// The peer has said that it sends nothing more (close_notify).
        case ended
        case failed(NetworkError)
    }

    let side: TLSSide
    /// Gets encrypted bytes to send; valid during the call only.
    var output: (UnsafeRawBufferPointer) -> Void = { _ in }
    /// Encrypted bytes that have come and are not yet used up.
    var input = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Whether the peer has said that it sends nothing more.
    private(set) var hasReceivedClose = false

    private let ssl: OpaquePointer
    private let peerName: String
    /// Keeps what OpenSSL's contexts point to.
    private let owner: AnyObject
    private var hasFailed = false
    private var hasSentClose = false

    /// - Parameters:
    ///   - context: Of type `SSL_CTX`; `owner` keeps it alive.
    ///   - peerName: What errors call the peer.
    init(
        _ context: OpaquePointer, _ side: TLSSide, owner: AnyObject, peerName: String
    ) throws(NetworkError) {
        guard let ssl = SSL_new(context), let bio = BIO_new(EngineBIO.method) else {
            throw NetworkError(
                .outOfResources, "no memory for TLS with \(peerName)", cause: TLSFailure.take().text
            )
        }
        self.ssl = ssl
        self.side = side
        self.owner = owner
        self.peerName = peerName
        BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        SSL_set_bio(ssl, bio, bio)
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
        switch side {
        case .client: SSL_set_connect_state(ssl)
        case .server: SSL_set_accept_state(ssl)
        }
    }

    /// The engine of a connection that OpenSSL gives to a callback.
    static func of(_ ssl: OpaquePointer) -> TLSEngine? {
        SSL_get_ex_data(ssl, 0).map {
            Unmanaged<TLSEngine>.fromOpaque($0).takeUnretainedValue()
        }
    }

    /// Lets a client set what it asks for; before the handshake.
    func configure(_ body: (OpaquePointer) -> Void) { body(ssl) }

    /// Gets a client's sessions for later connections.
    var onSession: ((OpaquePointer) -> Void)?

    // MARK: Steps

    /// Goes on with the handshake as far as the input allows.
    func handshake() -> HandshakeStep {
        if hasFailed { return .failed(NetworkError(.closed, "TLS with \(peerName) has failed")) }
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            offerSessionAgain()
            return .done
        }
        if SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ { return .needsInput }
        hasFailed = true
        return .failed(handshakeError(TLSFailure.take()))
    }

    /// A session of TLS 1.2 may be resumed many times, and a server need not send a new one.
    private func offerSessionAgain() {
        guard side == .client, let onSession, SSL_session_reused(ssl) == 1,
            SSL_version(ssl) == TLS1_2_VERSION, let session = SSL_get1_session(ssl)
        else { return }
        onSession(session)
    }

    /// Decrypts into `target`, at most one record's bytes.
    func read(into target: UnsafeMutableRawBufferPointer) -> ReadStep {
        if hasReceivedClose { return .ended }
        if hasFailed { return .failed(NetworkError(.closed, "TLS with \(peerName) has failed")) }
        ERR_clear_error()
        var count = 0
        let result = SSL_read_ex(ssl, target.baseAddress, target.count, &count)
        if result == 1 { return .bytes(count) }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .needsInput
        case SSL_ERROR_ZERO_RETURN:
            hasReceivedClose = true
            return .ended
        default:
            hasFailed = true
            return .failed(breach(TLSFailure.take()))
        }
    }

    /// Encrypts; after the handshake only.
    func write(_ bytes: UnsafeRawBufferPointer) -> NetworkError? {
        guard bytes.count > 0 else { return nil }
        if hasFailed || hasSentClose {
            return NetworkError(.closed, "TLS with \(peerName) is closed")
        }
        ERR_clear_error()
        var count = 0
        if SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count) == 1 { return nil }
        hasFailed = true
        return breach(TLSFailure.take())
    }

    /// Says that this side sends nothing more (close_notify), once.
    func sendClose() {
        guard !hasSentClose, !hasFailed, SSL_is_init_finished(ssl) == 1 else { return }
        hasSentClose = true
        ERR_clear_error()
        _ = SSL_shutdown(ssl)
        ERR_clear_error()
    }

    fileprivate func take(_ target: UnsafeMutableRawPointer, _ limit: Int) -> Int {
        guard let base = input.baseAddress else { return 0 }
        let count = min(limit, input.count)
        target.copyMemory(from: base, byteCount: count)
        input = UnsafeRawBufferPointer(rebasing: input[count...])
        return count
    }

    deinit {
        // Else OpenSSL takes the session for a broken one and forgets it.
        if !hasFailed { SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN) }
        SSL_free(ssl)
    }
}

// MARK: Facts and errors

extension TLSEngine {
    /// What was agreed on; after the handshake.
    var info: TLSInfo {
        var length: UInt32 = 0
        var name: UnsafePointer<UInt8>?
        SSL_get0_alpn_selected(ssl, &name, &length)
        let alpn = name.map {
            String(decoding: UnsafeBufferPointer(start: $0, count: Int(length)), as: UTF8.self)
        }
        var peer: PeerIdentity?
        if let certificate = SSL_get1_peer_certificate(ssl) {
            peer = PeerIdentity(certificate)
            X509_free(certificate)
        }
        let server = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
        return TLSInfo(
            version: TLSVersion(description: String(cString: SSL_get_version(ssl))),
            cipherSuite: SSL_CIPHER_get_name(SSL_get_current_cipher(ssl))
                .map { String(cString: $0) } ?? "",
            applicationProtocol: alpn, serverName: server.map { String(cString: $0) },
            isResumed: SSL_session_reused(ssl) == 1, peer: peer)
    }

    /// Why a peer whose session was resumed may not be let in any more; nil when it may.
    ///
    /// OpenSSL checks certificates in full handshakes only.
    ///
    /// - Parameter time: Seconds since 1970; the clock's when nil.
    func staleness(at time: Int? = nil) -> NetworkError? {
        guard SSL_session_reused(ssl) == 1, let certificate = SSL_get1_peer_certificate(ssl) else {
            return nil
        }
        defer { X509_free(certificate) }
        let end = X509_get0_notAfter(certificate)
        var seconds = time_t(time ?? 0)
        let order = time == nil ? X509_cmp_current_time(end) : X509_cmp_time(end, &seconds)
        guard order < 0 else { return nil }
        return NetworkError(
            .certificateRefused,
            "the certificate of \(peerName) has expired since its session began; it has to be "
                + "renewed")
    }

    private func handshakeError(_ failure: TLSFailure) -> NetworkError {
        let result = SSL_get_verify_result(ssl)
        if failure.reason == SSL_R_CERTIFICATE_VERIFY_FAILED, result != Int(X509_V_OK) {
            var subject = ""
            if let certificate = SSL_get1_peer_certificate(ssl) {
                subject = " (\(PeerIdentity(certificate).subject))"
                X509_free(certificate)
            }
            return NetworkError(
                .certificateRefused,
                "the certificate of \(peerName)\(subject) is refused: "
                    + TLSFailure.explain(verification: result), cause: failure.text)
        }
        return NetworkError(
            failure.isAboutCertificate ? .certificateRefused : .handshakeFailed,
            "the TLS handshake with \(peerName) failed: \(failure.explanation(side))",
            cause: failure.text)
    }

    /// What came after the handshake and is no proper TLS.
    private func breach(_ failure: TLSFailure) -> NetworkError {
        // In TLS 1.3 a client hears only now that its certificate was not accepted.
        NetworkError(
            failure.isAboutCertificate ? .certificateRefused : .protocolViolation,
            "TLS with \(peerName) broke: \(failure.explanation(side))", cause: failure.text)
    }
}

/// The BIO through which OpenSSL reaches an engine's input and output.
private enum EngineBIO {
    // Safety: made once, never changed afterwards, never freed.
    nonisolated(unsafe) static let method: OpaquePointer? = {
        let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir")
        BIO_meth_set_create(method) { bio in
            BIO_set_init(bio, 1)
            return 1
        }
        BIO_meth_set_write_ex(method) { bio, bytes, count, written in
            guard let engine = EngineBIO.engine(bio) else { return 0 }
            cossl_clear_retry(bio)
            engine.output(UnsafeRawBufferPointer(start: bytes, count: count))
            written?.pointee = count
            return 1
        }
        BIO_meth_set_read_ex(method) { bio, target, limit, taken in
            guard let engine = EngineBIO.engine(bio), let target else { return 0 }
            cossl_clear_retry(bio)
            let count = engine.take(UnsafeMutableRawPointer(target), limit)
            taken?.pointee = count
            if count > 0 { return 1 }
            cossl_retry_read(bio)
            return 0
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return method
    }()

    static func engine(_ bio: OpaquePointer?) -> TLSEngine? {
        BIO_get_data(bio).map { Unmanaged<TLSEngine>.fromOpaque($0).takeUnretainedValue() }
    }
}
