public import WeirCore

extension Source {
    /// Events from datagrams to a Unix socket, each in JSON; see the source with a decoder of one's
    /// own.
    @inlinable
    public static func unixDatagrams(
        path: String, permissions: Int = 0o600, as type: Element.Type = Element.self,
        options: DatagramOptions = DatagramOptions()
    ) -> Source where Element: Decodable {
        unixDatagrams(path: path, permissions: permissions, options: options, decoder: .json)
    }

    /// Events from datagrams to a Unix socket: each one, or each line in one, is an event.
    ///
    /// Unlike by UDP nothing is dropped on the way, and the order stays: while the stage is full the
    /// socket is not read, and senders wait once the kernel's queue is full (`net.unix.max_dgram_qlen`
    /// datagrams). Nothing is confirmed, though. What can't be decoded, or is longer than
    /// `options.maximumLength`, goes to the dead letters. In a run with a store, what was read is
    /// first written to the ingest journal and not lost after that. A socket that was left behind by
    /// a process that is no more is replaced; one that a process has open makes `start()` throw. It
    /// is removed when the run ends.
    ///
    /// - Parameters:
    ///   - path: Where the socket is, in at most 107 bytes (103 on macOS).
    ///   - permissions: Who may send, as the permissions of a file; 0o600 by default: this user only.
    ///   - options: What datagrams hold, their length, the kernel's buffer.
    ///   - decoder: How a message becomes an event; its connection is `unix:` and the path.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func unixDatagrams(
        path: String, permissions: Int = 0o600, options: DatagramOptions = DatagramOptions(),
        decoder: EventDecoder<Element>, limits: IngestLimits = IngestLimits()
    ) -> Source {
        unixDatagrams(
            "unixDatagrams", path: path, permissions: permissions, options: options,
            decoder: decoder, limits: limits)
    }

    /// A source of datagrams under a label of its own.
    static func unixDatagrams(
        _ label: String, path: String, permissions: Int, options: DatagramOptions,
        decoder: EventDecoder<Element>, limits: IngestLimits
    ) -> Source {
        let path = UnixPath(path)
        return Source(
            label, endpoint: "unix \(path.text)",
            prepare: { context in
                try await ConnectionSource<Element>.prepare(context, limits)
                _ = try await DatagramService.of(
                    context, path, permissions: permissions, options: options)
            }
        ) { inlet in
            let service = try await DatagramService.of(
                inlet.context, path, permissions: permissions, options: options)
            try await service.read(
                into: inlet, decoder: decoder, limits: limits, options: options,
                from: PeerNames(to: path))
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}

extension Sink {
    /// Sends every event as a datagram to a Unix socket in JSON; see the sink with an encoder of
    /// one's own.
    public static func unixDatagrams(
        path: String, content: DatagramContent = .message, maximumLength: Int = 1_432
    ) -> Sink where Element: Encodable {
        unixDatagrams(path: path, content: content, maximumLength: maximumLength, encoder: .json)
    }

    /// Sends every event to a process that reads a Unix socket, as a datagram or as a line in one.
    ///
    /// The socket must be there when the topology starts. While the receiver's queue is full the
    /// stream waits. A receiver that goes away restarts the sink; nothing confirms what it has
    /// handled, and what it had not read is lost: at most once. An event that is longer than
    /// `maximumLength` alone is still sent as one message, up to 65,507 bytes; beyond that it goes
    /// to the dead letters.
    ///
    /// - Parameters:
    ///   - path: Where the socket is.
    ///   - content: `.message`, or `.lines` to gather the events of a batch in fewer datagrams.
    ///   - maximumLength: Bytes that gathered lines fill; 1,432 by default.
    ///   - encoder: How an event becomes a message.
    public static func unixDatagrams(
        path: String, content: DatagramContent = .message, maximumLength: Int = 1_432,
        encoder: EventEncoder<Element>
    ) -> Sink {
        Sink("unixDatagrams") { context in
            let sender = try await DatagramSender.open(UnixPath(path), on: try Loop.shared())
            return DatagramWriter(
                sender: sender, packing: DatagramPacking(content, maximumLength: maximumLength),
                encoder: encoder, context: context)
        }
    }
}
