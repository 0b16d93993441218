import COpenSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Certificates and keys of a server as they were read at one time; never changed afterwards.
final class TLSServerState: Sendable {
    private let contexts: [TLSContextHandle]
    /// The server's application protocols in the form of the wire.
    private let protocols: [UInt8]
    private let refusesUnknownNames: Bool
    /// Files as they were, to see that they have changed.
    let stamps: [[Int]?]

    init(_ configuration: TLSServerConfiguration) throws(NetworkError) {
        guard !configuration.certificates.isEmpty else {
            throw NetworkError(
                .invalidArgument, "a TLS server needs a certificate; give at least one")
        }
        // Before the files are read: what changes meanwhile is seen as a change.
        stamps = Self.stamps(configuration)
        protocols = try ProtocolList.encode(configuration.applicationProtocols)
        refusesUnknownNames = configuration.refusesUnknownNames
        var contexts: [TLSContextHandle] = []
        for certificate in configuration.certificates {
            let context = try TLSContextHandle(
                .server, minimumVersion: configuration.minimumVersion)
            try context.use(certificate)
            try Self.ask(clientsOf: configuration, context)
            Self.setSessions(configuration, context)
            contexts.append(context)
        }
        self.contexts = contexts
        // The callbacks get the state unretained: an engine keeps it as long as its connection.
        let argument = Unmanaged.passUnretained(self).toOpaque()
        for context in contexts {
            cossl_set_server_name_callback(context.raw, Self.serverNameCallback, argument)
            if !protocols.isEmpty {
                SSL_CTX_set_alpn_select_cb(context.raw, Self.protocolCallback, argument)
            }
        }
    }

    static func stamps(_ configuration: TLSServerConfiguration) -> [[Int]?] {
        var stamps = configuration.certificates.flatMap { [$0.chain.stamp, $0.key.stamp] }
        if case .material(let material) = configuration.clients.authorities?.choice {
            stamps.append(material.stamp)
        }
        return stamps
    }

    /// Makes the server's side of a connection.
    func makeEngine(peerName: String) throws(NetworkError) -> TLSEngine {
        try TLSEngine(contexts[0].raw, .server, owner: self, peerName: peerName)
    }

    private static func ask(
        clientsOf configuration: TLSServerConfiguration, _ context: TLSContextHandle
    ) throws(NetworkError) {
        guard let authorities = configuration.clients.authorities else { return }
        var mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE
        if case .required = configuration.clients.choice { mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT }
        SSL_CTX_set_verify(context.raw, mode, nil)
        try context.trust(authorities)
        try context.nameAuthorities(authorities)
    }

    /// Tickets only: the server keeps nothing about sessions.
    ///
    /// Their keys are this state's own, so that a reload makes all clients show who they are.
    private static func setSessions(
        _ configuration: TLSServerConfiguration, _ context: TLSContextHandle
    ) {
        cossl_set_session_cache(context.raw, Int(SSL_SESS_CACHE_OFF))
        let name = Array("weir".utf8)
        SSL_CTX_set_session_id_context(context.raw, name, UInt32(name.count))
        let seconds = configuration.sessionLifetime.components.seconds
        if seconds > 0 {
            SSL_CTX_set_timeout(context.raw, Int(min(seconds, 7 * 24 * 3_600)))
        } else {
            cossl_disable_tickets(context.raw)
        }
    }

    // MARK: OpenSSL's questions

    private static let serverNameCallback: cossl_server_name_callback = { ssl, _, argument in
        guard let ssl, let argument else { return SSL_TLSEXT_ERR_NOACK }
        let state = Unmanaged<TLSServerState>.fromOpaque(argument).takeUnretainedValue()
        guard let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else {
            return SSL_TLSEXT_ERR_NOACK
        }
        for context in state.contexts {
            guard let certificate = SSL_CTX_get0_certificate(context.raw),
                X509_check_host(certificate, name, strlen(name), 0, nil) == 1
            else { continue }
            SSL_set_SSL_CTX(ssl, context.raw)
            return SSL_TLSEXT_ERR_OK
        }
        return state.refusesUnknownNames ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK
    }

    private static let protocolCallback: SSL_CTX_alpn_select_cb_func = {
        _, chosen, chosenCount, offered, offeredCount, argument in
        guard let chosen, let offered, let argument else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        let state = Unmanaged<TLSServerState>.fromOpaque(argument).takeUnretainedValue()
        // What is chosen has to outlive the call: it is pointed to within what the client sent.
        let client = UnsafeBufferPointer(start: offered, count: Int(offeredCount))
        guard let range = state.choose(from: client) else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        chosen.pointee = offered + range.lowerBound
        chosenCount?.pointee = UInt8(range.count)
        return SSL_TLSEXT_ERR_OK
    }

    /// Where the protocol that the server likes best stands in a client's offer.
    func choose(from offer: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
        var start = 0
        while start < protocols.count {
            let wanted = protocols[(start + 1)...].prefix(Int(protocols[start]))
            var other = 0
            while other < offer.count {
                let end = other + 1 + Int(offer[other])
                guard end <= offer.count else { return nil }
                if offer[(other + 1)..<end].elementsEqual(wanted) { return (other + 1)..<end }
                other = end
            }
            start += 1 + wanted.count
        }
        return nil
    }
}
