public import WeirCore

/// How a source listens on a socket in the file system.
public struct UnixSocketOptions: Sendable, Hashable {
    /// Who may connect, as the permissions of a file; 0o600 by default: this user only.
    public var permissions = 0o600
    /// Open connections at one time; 10,000 by default.
    ///
    /// Those beyond are closed at once.
    public var maximumConnections = 10_000
    /// Time without a byte after which a connection is closed; 1 hour by default, nil for never.
    ///
    /// Time during which the source itself doesn't read does not count, here and below.
    public var idleTimeout: Duration? = .seconds(3_600)
    /// Time for a message that has begun to be complete; 60 s by default, nil for any.
    public var messageTimeout: Duration? = .seconds(60)

    /// Creates the default options.
    public init() {}
}

extension Source {
    /// Events from clients of a Unix socket, in JSON, one a line by default.
    ///
    /// See the source with a decoder of one's own.
    @inlinable
    public static func unix(
        path: String, framing: StreamFraming = .lines(), as type: Element.Type = Element.self,
        options: UnixSocketOptions = UnixSocketOptions()
    ) -> Source where Element: Decodable {
        unix(path: path, framing: framing, options: options, decoder: .json)
    }

    /// Events from clients of a Unix socket: each frame of each connection is one event.
    ///
    /// All that is said of ``tcp(host:port:tls:framing:decoder:limits:)`` holds, the acknowledging
    /// protocol too. A socket that was left behind by a process that is no more is replaced; one
    /// that a process listens on makes `start()` throw. It is removed when the run ends.
    ///
    /// - Parameters:
    ///   - path: Where the socket is, in at most 107 bytes (103 on macOS).
    ///   - framing: How messages are told apart; lines by default.
    ///   - options: Permissions and the number of connections.
    ///   - decoder: How a message becomes an event; its connection is `unix:` and the path.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func unix(
        path: String, framing: StreamFraming = .lines(),
        options: UnixSocketOptions = UnixSocketOptions(), decoder: EventDecoder<Element>,
        limits: IngestLimits = IngestLimits()
    ) -> Source {
        Source(
            "unix", endpoint: "unix \(path)",
            prepare: { context in
                try await ConnectionSource<Element>.prepare(context, limits)
                _ = try await StreamService.of(context, path: path, options)
            }
        ) { inlet in
            let service = try await StreamService.of(inlet.context, path: path, options)
            try await service.read(
                into: inlet, framing, decoder, limits,
                from: ConnectionInfo(remoteAddress: "unix:\(path)"))
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}
