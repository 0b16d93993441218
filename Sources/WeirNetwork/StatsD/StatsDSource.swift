public import WeirCore

extension EventDecoder<StatsDMetric> {
    /// Each message is a line of StatsD; one with several values becomes several events.
    public static var statsD: EventDecoder {
        EventDecoder(
            appending: { bytes, batch in
                for metric in try StatsDParser.parse(bytes) { batch.append(metric) }
            })
    }
}

extension Source where Element == StatsDMetric {
    /// Measurements of StatsD clients over UDP, with the extensions of DogStatsD.
    ///
    /// Each line of a datagram is `name:value|type`, then `|@rate` and `|#tag:value,…` in any order;
    /// types are `c`, `g`, `ms`, `h`, `d` and `s`. A line that is none goes to the dead letters with
    /// the place and the sender's address, the others of its datagram are taken. All that is said of
    /// ``udp(host:port:options:decoder:limits:)`` holds.
    ///
    /// - Parameters:
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port; 8125 by custom and by default, 0 lets the system choose.
    ///   - options: The length of datagrams and the kernel's buffer; they hold lines in any case.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func statsD(
        host: String = "127.0.0.1", port: Int = 8_125, options: DatagramOptions = DatagramOptions(),
        limits: IngestLimits = IngestLimits()
    ) -> Source {
        var options = options
        options.content = .lines
        return datagrams(
            "statsD", host: host, port: port, options: options, decoder: .statsD, limits: limits)
    }

    /// Measurements of StatsD clients of this machine, over datagrams to a Unix socket.
    ///
    /// All that is said of ``statsD(host:port:options:limits:)`` about lines holds, and of
    /// ``unixDatagrams(path:permissions:options:decoder:limits:)`` about the socket: while the stage
    /// is full clients wait, or drop what they measure, as they choose.
    ///
    /// - Parameters:
    ///   - path: Where the socket is; `/var/run/datadog/dsd.socket` for many clients.
    ///   - permissions: Who may send, as the permissions of a file; 0o600 by default.
    ///   - options: The length of datagrams and the kernel's buffer; they hold lines in any case.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func statsD(
        path: String, permissions: Int = 0o600, options: DatagramOptions = DatagramOptions(),
        limits: IngestLimits = IngestLimits()
    ) -> Source {
        var options = options
        options.content = .lines
        return unixDatagrams(
            "statsD", path: path, permissions: permissions, options: options, decoder: .statsD,
            limits: limits)
    }
}
