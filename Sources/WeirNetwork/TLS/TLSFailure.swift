import COpenSSL

/// What OpenSSL's error queue says, emptied; the first error is the cause, others follow from it.
struct TLSFailure {
    /// The reason code within OpenSSL's library for TLS; 0 for an error of another library.
    let reason: Int32
    /// For people: OpenSSL's short reason.
    let text: String
    /// Whether the queue held anything.
    let isEmpty: Bool

    /// Errors that are read off one queue.
    private static let errorsMax = 16

    static func take() -> TLSFailure {
        var first: UInt = 0
        for _ in 0..<errorsMax {
            let error = ERR_get_error()
            if error == 0 { break }
            if first == 0 { first = error }
        }
        ERR_clear_error()
        guard first != 0 else { return TLSFailure(reason: 0, text: "no reason", isEmpty: true) }
        let isTLS = cossl_error_library(first) == ERR_LIB_SSL
        let text = ERR_reason_error_string(first).map { String(cString: $0) }
        return TLSFailure(
            reason: isTLS ? cossl_error_reason(first) : 0,
            text: text ?? "error \(String(first, radix: 16))", isEmpty: false)
    }

    /// The alert that the peer has sent, if that is what failed.
    private var alert: Int32? {
        // OpenSSL numbers alerts that came from the peer from 1000 on.
        (1_000..<1_256).contains(reason) ? reason - 1_000 : nil
    }

    /// Whether the peer objects to this side's certificate, or to there being none.
    var isAboutCertificate: Bool {
        switch alert {
        case 42, 43, 44, 45, 46, 48, 49, 116: true
        default: reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE
        }
    }

    /// Why a handshake failed, and what to do about it.
    func explanation(_ side: TLSSide) -> String {
        if let alert { return Self.explain(alert: alert, side) }
        switch reason {
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST:
            return "the peer speaks HTTP without TLS; it has to use https:// or wss://"
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL:
            return side == .client
                ? "the server does not answer with TLS; check the port and whether it wants TLS"
                : "the peer does not speak TLS, or an old version of it"
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW:
            return "the peer offers only versions that are too old; TLS 1.2 or 1.3 is needed"
        case SSL_R_NO_SHARED_CIPHER:
            return "no cipher suite in common; ECDHE with AES-GCM or ChaCha20 is needed"
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return "the peer has shown no certificate; it needs one from a trusted authority"
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return "no application protocol (ALPN) in common"
        case SSL_R_CALLBACK_FAILED:
            return "the peer asked for a name that no certificate has"
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
            return "the peer ended the connection"
        default: return text
        }
    }

    /// RFC 8446, section 6, with what the one who got the alert can do.
    private static func explain(alert: Int32, _ side: TLSSide) -> String {
        let peer = side == .client ? "server" : "client"
        let what: String
        switch alert {
        case 0: what = "closed"
        case 40:
            what =
                "found nothing in common (handshake_failure); check versions, cipher"
                + " suites, and whether it wants a certificate"
        case 42: what = "could not use the certificate shown (bad_certificate)"
        case 43: what = "does not take this kind of certificate (unsupported_certificate)"
        case 44: what = "says that the certificate shown is revoked (certificate_revoked)"
        case 45:
            what =
                "says that the certificate shown has expired (certificate_expired);"
                + " renew it"
        case 46: what = "does not accept the certificate shown (certificate_unknown)"
        case 48:
            what =
                "does not know who issued the certificate shown (unknown_ca); add the"
                + " authority to what it trusts, or the missing intermediate certificates to the chain"
        case 49: what = "does not let this certificate in (access_denied)"
        case 70: what = "speaks no version of TLS that is allowed here (protocol_version)"
        case 71: what = "wants stronger cryptography (insufficient_security)"
        case 80: what = "has a fault of its own (internal_error)"
        case 112: what = "does not know the name that it was asked for (unrecognized_name)"
        case 116: what = "wants a certificate and got none (certificate_required)"
        case 120:
            what =
                "speaks none of the application protocols offered"
                + " (no_application_protocol)"
        default: what = "refused with alert \(alert)"
        }
        return "the \(peer) \(what)"
    }

    /// Makes the error of a configuration that cannot be used.
    func invalid(_ what: String, hint: String) -> NetworkError {
        NetworkError(.invalidArgument, "\(what): \(hint)", cause: isEmpty ? nil : text)
    }
}

/// The two sides of a TLS connection.
enum TLSSide: Sendable { case client, server }

extension TLSFailure {
    /// Says what is wrong with a certificate that this side refuses, and what to do.
    static func explain(verification result: Int) -> String {
        let text = X509_verify_cert_error_string(result).map { String(cString: $0) } ?? "unknown"
        let advice: String
        switch Int32(truncatingIfNeeded: result) {
        case X509_V_ERR_CERT_HAS_EXPIRED: advice = "it has to be renewed"
        case X509_V_ERR_CERT_NOT_YET_VALID: advice = "check the clocks of both machines"
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            advice = "to trust it, name it as an authority"
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
            advice =
                "name its authority as one that is trusted, or have the peer send the missing "
                + "intermediate certificates"
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            advice = "connect by a name that the certificate has, or set the server name"
        case X509_V_ERR_INVALID_PURPOSE:
            advice = "its extended key usage does not allow this side of a connection"
        default: return text
        }
        return "\(text); \(advice)"
    }
}
