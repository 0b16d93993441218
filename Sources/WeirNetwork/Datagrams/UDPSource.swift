public import WeirCore

extension Source {
    /// Events from UDP datagrams, each in JSON; see the source with a decoder of one's own.
    @inlinable
    public static func udp(
        host: String = "127.0.0.1", port: Int, as type: Element.Type = Element.self,
        options: DatagramOptions = DatagramOptions()
    ) -> Source where Element: Decodable {
        udp(host: host, port: port, options: options, decoder: .json)
    }

    /// Events from UDP datagrams: each one, or each line in one, is an event.
    ///
    /// UDP confirms nothing and comes in any order. While the stage is full the socket is not read;
    /// the kernel then drops what its buffer has no room for, which is counted as dropped
    /// (`kernelBuffer`; on Linux). What can't be decoded, or is longer than
    /// `options.maximumLength`, goes to the dead letters with its bytes and the sender's address. In
    /// a run with a store, what was read is first written to the ingest journal and not lost after
    /// that.
    ///
    /// - Parameters:
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port; 0 lets the system choose: `running.addresses["udp://127.0.0.1:0"]`.
    ///   - options: What datagrams hold, their length, the kernel's buffer.
    ///   - decoder: How a message becomes an event; its connection is the datagram's sender.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func udp(
        host: String = "127.0.0.1", port: Int, options: DatagramOptions = DatagramOptions(),
        decoder: EventDecoder<Element>, limits: IngestLimits = IngestLimits()
    ) -> Source {
        datagrams(
            "udp", host: host, port: port, options: options, decoder: decoder, limits: limits)
    }

    /// A source of datagrams under a label of its own.
    static func datagrams(
        _ label: String, host: String, port: Int, options: DatagramOptions,
        decoder: EventDecoder<Element>, limits: IngestLimits
    ) -> Source {
        Source(
            label, endpoint: "udp \(host):\(port)",
            prepare: { context in
                try await ConnectionSource<Element>.prepare(context, limits)
                _ = try await DatagramService.of(context, host: host, port: port, options: options)
            }
        ) { inlet in
            let service = try await DatagramService.of(
                inlet.context, host: host, port: port, options: options)
            try await service.read(
                into: inlet, decoder: decoder, limits: limits, options: options, from: PeerNames())
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}
