public import WeirCore

extension Sink {
    /// Sends every event as a UDP datagram in JSON; see the sink with an encoder of one's own.
    public static func udp(
        host: String, port: Int, content: DatagramContent = .message, maximumLength: Int = 1_432
    ) -> Sink where Element: Encodable {
        udp(
            host: host, port: port, content: content, maximumLength: maximumLength, encoder: .json)
    }

    /// Sends every event by UDP, as a datagram or as a line in one.
    ///
    /// At most once: nothing confirms a datagram, and whoever has no room for it drops it. An event
    /// that is longer than `maximumLength` alone is still sent as one message, up to 65,507 bytes;
    /// beyond that it goes to the dead letters.
    ///
    /// - Parameters:
    ///   - host: The receiver's name or address.
    ///   - port: Its port.
    ///   - content: `.message`, or `.lines` to gather the events of a batch in fewer datagrams.
    ///   - maximumLength: Bytes that gathered lines fill; 1,432 by default, which Ethernet carries
    ///     in one piece.
    ///   - encoder: How an event becomes a message.
    public static func udp(
        host: String, port: Int, content: DatagramContent = .message, maximumLength: Int = 1_432,
        encoder: EventEncoder<Element>
    ) -> Sink {
        Sink("udp") { context in
            let sender = try await DatagramSender.open(
                host: host, port: port, on: try Loop.shared())
            return DatagramWriter(
                sender: sender, packing: DatagramPacking(content, maximumLength: maximumLength),
                encoder: encoder, context: context)
        }
    }
}
