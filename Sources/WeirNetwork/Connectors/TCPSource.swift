public import WeirCore

extension Source {
    /// Events from TCP clients: each frame of each connection is one event in JSON.
    ///
    /// See the source with a decoder of one's own.
    @inlinable
    public static func tcp(
        host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        framing: StreamFraming = .lines(), as type: Element.Type = Element.self
    ) -> Source where Element: Decodable {
        tcp(host: host, port: port, tls: tls, framing: framing, decoder: .json)
    }

    /// Events from TCP clients: each frame of each connection is one event.
    ///
    /// A frame that can't be decoded goes to the dead letters with its bytes, the peer's address and the reason, and
    /// the connection goes on; one that breaks the framing closes the connection. While the stage is full the sockets
    /// are not read.
    ///
    /// A client whose first frame is `WEIR-ACK/1 NAME` numbers its messages and is told which are safe, so that each
    /// event comes exactly once however often the client connects again: see `docs/acknowledging-protocol.md` and
    /// ``AcknowledgedSender``. In a run with a store all that is read is first written to the ingest journal, and safe
    /// means durable; what was read and is not yet part of a checkpoint comes again after a restart, in the same order.
    /// Without a store safe means that the stage's mailbox has it. Nothing tells a plain client.
    ///
    /// - Parameters:
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port; 0 lets the system choose, `running.addresses` then says which.
    ///   - tls: Speaks TLS; nil, the default, does not.
    ///   - framing: How messages are told apart; lines by default.
    ///   - decoder: How a message becomes an event.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func tcp(
        host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        framing: StreamFraming = .lines(), decoder: EventDecoder<Element>,
        limits: IngestLimits = IngestLimits()
    ) -> Source {
        let name = "\(host):\(port)"
        return Source(
            "tcp", endpoint: "tcp \(name)",
            prepare: { context in
                try await ConnectionSource<Element>.prepare(context, limits)
                _ = try await StreamService.of(context, host: host, port: port, tls: tls)
            }
        ) { inlet in
            let service = try await StreamService.of(
                inlet.context, host: host, port: port, tls: tls)
            try await service.read(into: inlet, framing, decoder, limits)
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}
