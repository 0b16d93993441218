public import WeirCore

/// How syslog messages come.
public struct SyslogTransport: Sendable {
    enum Choice: Sendable {
        case udp(DatagramOptions)
        case tcp(TLSServerConfiguration?)
    }
    let choice: Choice

    /// Over UDP, one message in a datagram (RFC 5426); port 514 by custom.
    public static func udp(_ options: DatagramOptions = DatagramOptions()) -> SyslogTransport {
        SyslogTransport(choice: .udp(options))
    }

    /// Over TCP (RFC 6587); port 601 or 514 by custom.
    public static let tcp = SyslogTransport(choice: .tcp(nil))

    /// Over TLS (RFC 5425); port 6514 by custom.
    public static func tls(_ configuration: TLSServerConfiguration) -> SyslogTransport {
        SyslogTransport(choice: .tcp(configuration))
    }
}

/// How syslog messages are read.
public struct SyslogOptions: Sendable, Hashable {
    /// Bytes of the longest message; 64 KiB by default.
    ///
    /// A longer one closes its TCP connection; a longer datagram goes to the dead letters.
    public var maximumLength = SyslogFraming.defaultMaximumLength
    /// Takes what older programs send (RFC 3164) as well; off by default.
    ///
    /// Their time has no year and no zone: such messages have no event time.
    public var acceptsLegacyFormat = false

    /// Creates the default options.
    public init() {}
}

extension EventDecoder<SyslogMessage> {
    /// Each message is one of RFC 5424; its time becomes the event time, if it has one.
    ///
    /// - Parameter options: What is accepted beside.
    public static func syslog(_ options: SyslogOptions = SyslogOptions()) -> EventDecoder {
        let acceptsLegacyFormat = options.acceptsLegacyFormat
        return EventDecoder(
            appending: { bytes, batch in
                let message =
                    acceptsLegacyFormat && !Self.isModern(bytes)
                    ? try LegacySyslogParser.parse(bytes) : try SyslogParser.parse(bytes)
                batch.append(message, at: message.timestamp ?? .min)
            })
    }

    /// Whether a version follows the priority.
    private static func isModern(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let end = bytes.prefix(5).firstIndex(of: UInt8(ascii: ">")) else { return false }
        return bytes[(end + 1)...].starts(with: [UInt8(ascii: "1"), UInt8(ascii: " ")])
    }
}

extension Source where Element == SyslogMessage {
    /// Syslog messages (RFC 5424) over UDP, TCP or TLS, with their time as event time.
    ///
    /// What is no message goes to the dead letters with its bytes, the place and the sender's
    /// address. Over TCP each message is either behind its length or ended by a line feed, over TLS
    /// behind its length; a stream that is neither is closed. All that is said of
    /// ``tcp(host:port:tls:framing:decoder:limits:)`` and ``udp(host:port:options:decoder:limits:)``
    /// holds. Nothing is confirmed: syslog has no word for it.
    ///
    /// - Parameters:
    ///   - transport: How messages come; `.udp()`, `.tcp` or `.tls(configuration)`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port; 0 lets the system choose, `running.addresses` then says which.
    ///   - options: The longest message, and whether the older format is taken.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func syslog(
        _ transport: SyslogTransport, host: String = "127.0.0.1", port: Int,
        options: SyslogOptions = SyslogOptions(), limits: IngestLimits = IngestLimits()
    ) -> Source {
        switch transport.choice {
        case .udp(var udp):
            udp.content = .message
            udp.maximumLength = min(udp.maximumLength, options.maximumLength)
            return datagrams(
                "syslog", host: host, port: port, options: udp, decoder: .syslog(options),
                limits: limits)
        case .tcp(let tls):
            return .tcp(
                host: host, port: port, tls: tls,
                framing: .syslog(maximumLength: options.maximumLength, allowsLines: tls == nil),
                decoder: .syslog(options), limits: limits)
        }
    }
}

extension StreamFraming {
    /// Syslog messages, behind their length or ended by a line feed (RFC 6587).
    ///
    /// - Parameters:
    ///   - maximumLength: Longer messages close the connection. Default 64 KiB.
    ///   - allowsLines: Whether messages without a length are taken. Default true.
    public static func syslog(
        maximumLength: Int = SyslogFraming.defaultMaximumLength, allowsLines: Bool = true
    ) -> StreamFraming {
        StreamFraming(
            reader: SyslogFraming(maximumLength: maximumLength, allowsLines: allowsLines)
        ) { message, bytes in
            bytes.append(contentsOf: "\(message.count) ".utf8)
            bytes.append(contentsOf: message)
        }
    }
}
