/// Who may open WebSocket connections of a path, and how both sides then speak.
///
/// ```swift
/// var options = WebSocketOptions()
/// options.allowedOrigins = ["https://shop.example"]
/// options.connection.compression = WebSocketCompression()
/// let source = Source<Payment>.webSocket("/payments", port: 8080, decoder: .json, options: options)
/// ```
public struct WebSocketOptions: Sendable {
    /// Pages whose scripts may connect, such as `https://shop.example`; `nil`, the default, is all.
    ///
    /// A browser says in `Origin` where the page came from that opens a connection; others are
    /// refused with 403 and counted. Programs that aren't browsers send no `Origin`, or any they
    /// like: this protects users of browsers from foreign pages, and is no authentication.
    public var allowedOrigins: Set<String>?
    /// Subprotocols that are spoken here, the preferred one first; none by default.
    public var subprotocols: [String] = []
    /// Whether a client has to offer one of ``subprotocols``; off by default.
    public var requiresSubprotocol = false
    /// Times, limits and compression of the connections.
    public var connection = WebSocketConnection.Configuration()

    /// Creates the default options.
    public init() {}

    /// Decides about a handshake: accepts it for a handler unless the options forbid it.
    public func decide(
        _ request: WebSocketRequest, for handler: any WebSocketHandler
    ) -> WebSocketDecision {
        if let refusal = refuseOrigin(of: request) { return refusal }
        let offered = request.subprotocols
        let chosen = subprotocols.first(where: offered.contains)
        if requiresSubprotocol, chosen == nil {
            return .refuse(400, "a subprotocol is needed: \(subprotocols.joined(separator: ", "))")
        }
        return .accept(handler, subprotocol: chosen, configuration: connection)
    }

    private func refuseOrigin(of request: WebSocketRequest) -> WebSocketDecision? {
        guard let allowedOrigins else { return nil }
        let origins = request.head.headers.values("Origin")
        let isFine = origins.allSatisfy { origin in
            allowedOrigins.contains { HTTPHeaders.areEqual($0, origin) }
        }
        if isFine { return nil }
        return WebSocketDecision(
            choice: .refuse(HTTPError(403, "this origin may not connect"), isForOrigin: true))
    }
}
