import CLibUV

/// An error of the network layer: what failed, on which address, why, and what to do about it.
///
/// The failed operation did not take effect, except for ``Code/connectionLost`` and
/// ``Code/timedOut``, after which bytes already written may or may not have reached the peer.
public struct NetworkError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    public let code: Code
    /// One sentence for people: what was tried, on which address, what came of it.
    public let message: String
    /// The error of the operating system or of the layer below, when there is one.
    public let cause: String?

    /// Creates an error.
    public init(_ code: Code, _ message: String, cause: String? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The text form.
    public var description: String {
        cause.map { "\(message) (\($0))" } ?? message
    }

    /// The kinds of failure of the network layer.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The text form.
        public let description: String

        /// The address is in use by another socket; retry after it is free, or choose port 0.
        public static let addressInUse = Code(description: "addressInUse")
        /// The operating system forbids it to this user; retrying does not help.
        public static let permissionDenied = Code(description: "permissionDenied")
        /// The name or the address cannot be resolved or is not one of this machine.
        public static let addressNotAvailable = Code(description: "addressNotAvailable")
        /// Nobody listens there; worth a retry with back-off.
        public static let connectionRefused = Code(description: "connectionRefused")
        /// The peer or the network broke the connection; worth a new connection.
        public static let connectionLost = Code(description: "connectionLost")
        /// It took longer than the configured time; worth a retry with back-off.
        public static let timedOut = Code(description: "timedOut")
        /// A limit of the system (descriptors, memory) is reached; retry after others have closed.
        public static let outOfResources = Code(description: "outOfResources")
        /// The loop, the server or the connection is stopped or closed.
        public static let closed = Code(description: "closed")
        /// The peer broke the protocol (HTTP or WebSocket); retrying does not help.
        public static let protocolViolation = Code(description: "protocolViolation")
        /// An argument (a URL, a port, a limit) is not valid.
        public static let invalidArgument = Code(description: "invalidArgument")
        /// The TLS handshake failed; retrying does not help until one side is set up differently.
        public static let handshakeFailed = Code(description: "handshakeFailed")
        /// A certificate is missing, expired, not trusted or for another name: this side refuses
        /// the peer's, or the peer this side's; retrying does not help until it is replaced.
        public static let certificateRefused = Code(description: "certificateRefused")
        /// A TLS connection ended without the peer saying so (no close_notify).
        ///
        /// Somebody may have cut off what the peer sent last; worth a new connection.
        public static let truncated = Code(description: "truncated")
        /// Any other failure of the operating system.
        public static let system = Code(description: "system")
    }
}

extension NetworkError {
    /// Makes an error from a libuv status, for instance `listening on` `127.0.0.1:80`.
    init(uv status: Int32, _ action: String, _ address: String? = nil) {
        let name = uv_err_name(status).map { String(cString: $0) } ?? "\(status)"
        let text = uv_strerror(status).map { String(cString: $0) } ?? "unknown error"
        let (code, advice) = Self.classify(uv_errno_t(status))
        let place = address.map { " \($0)" } ?? ""
        let hint = advice.map { "; \($0)" } ?? ""
        self.init(code, "\(action)\(place) failed: \(text)\(hint)", cause: name)
    }

    private static func classify(_ status: uv_errno_t) -> (Code, advice: String?) {
        switch status {
        case UV_EADDRINUSE:
            (.addressInUse, "stop the program that uses it, or choose another port (0 picks one)")
        case UV_EACCES, UV_EPERM:
            (.permissionDenied, "choose a port above 1023 or give the program the privilege")
        case UV_EADDRNOTAVAIL, UV_EAI_NONAME, UV_EAI_ADDRFAMILY, UV_EAI_NODATA, UV_EAI_AGAIN,
            UV_EAI_FAIL, UV_ENETUNREACH, UV_EHOSTUNREACH, UV_EAFNOSUPPORT:
            (.addressNotAvailable, "check the host name and the network")
        case UV_ECONNREFUSED:
            (.connectionRefused, "check that the server runs and listens on this port")
        case UV_ECONNRESET, UV_EPIPE, UV_ECONNABORTED, UV_ENOTCONN, UV_EOF:
            (.connectionLost, nil)
        case UV_ETIMEDOUT:
            (.timedOut, nil)
        case UV_EMFILE, UV_ENFILE:
            (.outOfResources, "raise the limit of open files (ulimit -n)")
        case UV_ENOMEM, UV_ENOBUFS:
            (.outOfResources, nil)
        case UV_ECANCELED:
            (.closed, nil)
        case UV_EINVAL:
            (.invalidArgument, nil)
        default:
            (.system, nil)
        }
    }
}

/// Throws a ``NetworkError`` when a libuv call did not succeed.
func check(_ status: Int32, _ action: String, _ address: String? = nil) throws(NetworkError) {
    if status < 0 { throw NetworkError(uv: status, action, address) }
}
