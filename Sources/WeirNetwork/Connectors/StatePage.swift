import HTTPTypes
public import WeirCore

/// A page that tells what a stage keeps of a key, as JSON.
///
/// ```swift
/// Topology("fraud") {
///     StatePage("/spending", port: 9_090, stage: "sums", of: String.self, as: Double.self)
///     …
/// }
/// ```
///
/// `GET /spending?key=4111` answers `{"key":"4111","state":12.5}`, 404 for a key of which nothing is
/// known, 400 without a key, and 503 while the topology does not run. The state is that of
/// `StageHandle.state(of:as:)`, with what that says about the moment.
///
/// Whoever reaches the port can read it, so it listens on loopback unless told otherwise.
public struct StatePage<
    Key: Hashable & Codable & Sendable & LosslessStringConvertible, State: Codable & Sendable
>: TopologyComponent, ServedComponent {
    private struct Answer: Encodable {
        let key: Key
        let state: State
    }

    private let path: String
    let host: String
    let port: Int
    let tls: TLSServerConfiguration?
    private let stage: String

    /// Serves the page.
    ///
    /// - Parameters:
    ///   - path: Where the page is.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port, shared with sources, sinks and pages of the same host and port.
    ///   - tls: Speaks TLS (`https://`); nil, the default, does not. All on one port give the same.
    ///   - stage: The name of the stage.
    ///   - key: The type of its keys, which are made of the text in the request.
    ///   - state: The type of what it keeps of a key.
    public init(
        _ path: String, host: String = "127.0.0.1", port: Int,
        tls: TLSServerConfiguration? = nil, stage: String, of key: Key.Type, as state: State.Type
    ) {
        self.path = path
        self.host = host
        self.port = port
        self.tls = tls
        self.stage = stage
    }

    /// What it is called in drawings and errors.
    public var label: String { "state of \(stage) at \(path)" }

    /// Adds the page to its server and starts that.
    ///
    /// - Throws: What keeps the server from listening.
    public func start(_ context: SourceContext) async throws {
        let shared = try server(context)
        let (environment, stage) = (context.environment, stage)
        shared.server.addHandler(.get, path) { request in
            guard let text = Self.key(in: request.head.query), let key = Key(text) else {
                throw HTTPProblem(400, "say the key: ?key=…")
            }
            guard let handle = environment.running?.stage(stage) else {
                throw HTTPProblem(503, "the run has ended, or there is no stage '\(stage)'")
            }
            guard let state = try await handle.state(of: key, as: State.self) else {
                throw HTTPProblem(404, "nothing is known of this key")
            }
            return try .json(Answer(key: key, state: state))
        }
        try await shared.start()
    }

    /// The value of `key` in a query, decoded.
    private static func key(in query: String?) -> String? {
        for part in (query ?? "").split(separator: "&") where part.hasPrefix("key=") {
            return decoded(part.dropFirst(4).utf8)
        }
        return nil
    }

    /// Percent-encoded bytes and plus signs as they are meant; nil when they are no text.
    private static func decoded(_ bytes: Substring.UTF8View) -> String? {
        var result: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): result.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let first = rest.popFirst().flatMap(HTTPSyntax.hexadecimal),
                    let second = rest.popFirst().flatMap(HTTPSyntax.hexadecimal)
                else { return nil }
                result.append(UInt8(first << 4 | second))
            default: result.append(byte)
            }
        }
        return String(validating: result, as: UTF8.self)
    }
}
