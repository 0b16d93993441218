public import HTTPTypes

/// Asks HTTP servers: one connection a request, bounded in time and in bytes.
///
/// Made for what a service needs itself, such as a feed or a set of keys; there are no redirects,
/// no cookies and no proxies.
public struct HTTPClient: Sendable {
    /// Times and limits of a request.
    public struct Configuration: Sendable {
        /// Time for resolving and connecting; 10 s by default.
        public var connectTimeout: Duration = .seconds(10)
        /// Time from the request to the response's head; 30 s by default.
        public var responseTimeout: Duration = .seconds(30)
        /// Time without a byte of the body; 60 s by default.
        public var idleTimeout: Duration = .seconds(60)
        /// Trust, certificates and sessions for `https://`; nil, the default, trusts the system's
        /// authorities.
        public var tls: TLSClientContext?
        /// Who the client is, to be shown with each request; nobody by default.
        public var authorization: ClientAuthorization?
        /// Bounds on the response's head.
        public var http = HTTPLimits()
        /// Bounds on the response's body; 1 MiB by default.
        public var body = HTTPBodyLimits()

        /// Creates the default configuration.
        public init() {}
    }

    /// The configuration it was made with.
    public var configuration: Configuration
    private let loop: Loop

    /// Creates a client on a loop, the shared one by default.
    ///
    /// - Throws: ``NetworkError`` when the shared loop cannot start.
    public init(
        _ configuration: Configuration = Configuration(), loop: Loop? = nil
    ) throws(NetworkError) {
        self.configuration = configuration
        self.loop = if let loop { loop } else { try Loop.shared() }
    }

    /// Sends a request to `http://host:port/path` or `https://` and waits for the whole response.
    ///
    /// Cancelling the task closes the connection.
    ///
    /// - Throws: ``NetworkError``; a status of any kind is no error.
    public func send(
        _ method: HTTPRequest.Method = .get, _ url: String, headers: HTTPFields = HTTPFields(),
        body: [UInt8] = []
    ) async throws -> (response: HTTPResponse, body: [UInt8]) {
        let url = try NetworkURL(url, .http)
        let (loop, configuration) = (loop, configuration)
        let cancellation = HTTPClientCancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                loop.execute {
                    let gatherer = ResponseGatherer { continuation.resume(with: $0) }
                    let exchange = HTTPClientExchange(
                        method, url, headers: headers, body: body, loop: loop,
                        configuration: configuration, handler: gatherer)
                    cancellation.begin(exchange, loop)
                    exchange.start()
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }
}

/// Gathers a whole response.
private final class ResponseGatherer: HTTPResponseHandler {
    typealias Response = (response: HTTPResponse, body: [UInt8])
    private var head = HTTPResponse(status: .ok)
    private var bytes: [UInt8] = []
    private let completion: (Result<Response, any Error>) -> Void

    init(_ completion: @escaping (Result<Response, any Error>) -> Void) {
        self.completion = completion
    }

    func received(_ head: HTTPResponse, on exchange: HTTPClientExchange) { self.head = head }

    func received(_ part: UnsafeRawBufferPointer, on exchange: HTTPClientExchange) -> Int {
        bytes.append(contentsOf: part)
        return part.count
    }

    func finished(_ error: NetworkError?) {
        completion(error.map { .failure($0) } ?? .success((head, bytes)))
    }
}

extension HTTPClient {
    /// Checks that what is sent to an address, or comes from it, cannot be changed on its way.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` for one without TLS that is not loopback.
    package static func checkPrivate(_ url: String, for purpose: String) throws(NetworkError) {
        let url = try NetworkURL(url, .http)
        guard url.isSecure || isLoopback(url.host) else {
            throw NetworkError(
                .invalidArgument,
                "\(url.publicName) has no TLS, which \(purpose) need; use https://")
        }
    }
}
