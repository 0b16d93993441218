public import WeirCore

extension Sink {
    /// Sends every event to a Unix socket in JSON, one a line by default.
    ///
    /// See the sink with an encoder of one's own.
    public static func unix(
        path: String, framing: StreamFraming = .lines()
    ) -> Sink where Element: Encodable {
        unix(path: path, framing: framing, encoder: .json)
    }

    /// Sends every event to a process that listens on a Unix socket.
    ///
    /// All that is said of ``tcp(host:port:tls:framing:encoder:)`` holds: it connects when the
    /// topology starts, a lost connection restarts the sink, and what the kernel had taken may be
    /// lost with it.
    ///
    /// - Parameters:
    ///   - path: Where the socket is.
    ///   - framing: How messages are told apart.
    ///   - encoder: How an event becomes a message.
    public static func unix(
        path: String, framing: StreamFraming = .lines(), encoder: EventEncoder<Element>
    ) -> Sink {
        Sink("unix") { context in
            let loop = try Loop.shared()
            let client = try await loop.run {
                TCPClient(adopting: try TCPConnection.connect(toUnix: path, on: loop))
            }
            return TCPWriter(client: client, framing: framing, encoder: encoder, context: context)
        }
    }
}
