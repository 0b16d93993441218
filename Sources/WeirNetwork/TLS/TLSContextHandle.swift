import COpenSSL

/// Owns an OpenSSL context of either side, with what both sides set alike.
///
/// Safety: the context is changed only before other threads get to know it; OpenSSL allows to make
/// connections of one on several threads.
final class TLSContextHandle: @unchecked Sendable {
    let raw: OpaquePointer

    /// Intermediate certificates that are followed up to an authority.
    private static let chainDepthMax: Int32 = 10
    /// Forward secrecy and authenticated encryption only.
    private static let suites12 =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        + "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        + "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    private static let suites13 =
        "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    private static let groups = "X25519:P-256:P-384"

    init(_ side: TLSSide, minimumVersion: TLSVersion) throws(NetworkError) {
        let method = side == .client ? TLS_client_method() : TLS_server_method()
        guard let raw = SSL_CTX_new(method) else {
            throw NetworkError(
                .system, "OpenSSL cannot start TLS", cause: TLSFailure.take().text)
        }
        self.raw = raw
        let version = minimumVersion == .v1_3 ? TLS1_3_VERSION : TLS1_2_VERSION
        guard cossl_set_minimum_version(raw, version) == 1,
            SSL_CTX_set_cipher_list(raw, Self.suites12) == 1,
            SSL_CTX_set_ciphersuites(raw, Self.suites13) == 1,
            cossl_set_groups(raw, Self.groups) == 1
        else {
            throw NetworkError(
                .system,
                "this OpenSSL does not know what TLS 1.2 and 1.3 need; check its version and its"
                    + " configuration file", cause: TLSFailure.take().text)
        }
        cossl_set_strict_options(raw)
        cossl_set_mode(raw, Int(SSL_MODE_RELEASE_BUFFERS))
        SSL_CTX_set_verify_depth(raw, Self.chainDepthMax)
        SSL_CTX_set_max_early_data(raw, 0)
        SSL_CTX_set_recv_max_early_data(raw, 0)
    }

    deinit { SSL_CTX_free(raw) }

    /// Shows a certificate to peers.
    func use(_ certificate: TLSCertificate) throws(NetworkError) {
        let chain = try certificate.chain.load("certificate")
        var isFirst = true
        let count = try PEM.forEachCertificate(in: chain) { item throws(NetworkError) in
            let isTaken =
                isFirst
                ? SSL_CTX_use_certificate(raw, item) : cossl_add_chain_certificate(raw, item)
            isFirst = false
            guard isTaken == 1 else {
                throw TLSFailure.take().invalid(
                    "the certificate \(certificate.chain) cannot be used",
                    hint: "its key is too short or its signature too weak for today")
            }
        }
        guard count > 0 else {
            throw TLSFailure.take().invalid(
                "there is no certificate in \(certificate.chain)",
                hint: "it has to be PEM text that begins with -----BEGIN CERTIFICATE-----")
        }
        let keyText = try certificate.key.load("private key")
        guard let key = PEM.privateKey(in: keyText, password: certificate.password) else {
            throw TLSFailure.take().invalid(
                "there is no usable private key in \(certificate.key)",
                hint: certificate.password == nil
                    ? "it has to be PEM text; an encrypted key needs its password"
                    : "it has to be PEM text, and the password has to be right")
        }
        defer { EVP_PKEY_free(key) }
        guard SSL_CTX_use_PrivateKey(raw, key) == 1, SSL_CTX_check_private_key(raw) == 1 else {
            throw TLSFailure.take().invalid(
                "the private key \(certificate.key) is not that of \(certificate.chain)",
                hint: "the key has to be the one the certificate was made for")
        }
    }

    /// Trusts authorities when it checks a peer.
    func trust(_ authorities: TLSAuthorities) throws(NetworkError) {
        switch authorities.choice {
        case .system:
            guard SSL_CTX_set_default_verify_paths(raw) == 1 else {
                throw TLSFailure.take().invalid(
                    "the system's certificate authorities cannot be read",
                    hint: "install them (ca-certificates), or name a file")
            }
        case .material(let material):
            let store = SSL_CTX_get_cert_store(raw)
            // Whatever the file names is trusted, be it an intermediate authority.
            X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
            let count = try PEM.forEachCertificate(in: material.load("authorities' file")) {
                item throws(NetworkError) in
                guard X509_STORE_add_cert(store, item) == 1 else {
                    throw TLSFailure.take().invalid(
                        "an authority in \(material) cannot be used", hint: "check the file")
                }
            }
            guard count > 0 else {
                throw TLSFailure.take().invalid(
                    "there is no certificate in \(material)",
                    hint: "it has to be PEM text that begins with -----BEGIN CERTIFICATE-----")
            }
        }
    }

    /// Tells clients whose certificates are taken.
    func nameAuthorities(_ authorities: TLSAuthorities) throws(NetworkError) {
        guard case .material(let material) = authorities.choice else { return }
        _ = try PEM.forEachCertificate(in: material.load("authorities' file")) { item in
            SSL_CTX_add_client_CA(raw, item)
        }
    }
}

/// A list of application protocols in the form in which TLS sends it.
enum ProtocolList {
    /// - Throws: ``NetworkError/Code/invalidArgument`` for a name that is empty or too long.
    static func encode(_ names: [String]) throws(NetworkError) -> [UInt8] {
        var bytes: [UInt8] = []
        for name in names {
            guard (1...255).contains(name.utf8.count), bytes.count < 4_096 else {
                throw NetworkError(
                    .invalidArgument,
                    "'\(name)' is no application protocol; it has 1 to 255 bytes, such as http/1.1")
            }
            bytes.append(UInt8(name.utf8.count))
            bytes.append(contentsOf: name.utf8)
        }
        return bytes
    }
}
