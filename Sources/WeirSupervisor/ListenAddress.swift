/// An IP address and a port on which a supervisor listens for its workers.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// The address without brackets; `localhost` stands for `127.0.0.1`.
    public let host: String
    /// The port; 0 lets the system choose a free one, the same for all workers.
    public let port: Int

    /// Creates an address; whether it is one shows when the supervisor listens.
    public init(host: String = "127.0.0.1", port: Int) {
        self.host = host == "localhost" ? "127.0.0.1" : host
        self.port = port
    }

    /// Reads `host:port`, with an IPv6 address in brackets.
    ///
    /// - Throws: ``ProcessSupervisorError`` with the code `invalidArgument`.
    public init(parsing text: String) throws(ProcessSupervisorError) {
        func refuse(_ why: String) -> ProcessSupervisorError {
            ProcessSupervisorError(
                .invalidArgument,
                "'\(text)' is not an address to listen on: \(why); "
                    + "write 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")
        }
        guard let colon = text.lastIndex(of: ":") else { throw refuse("the port is missing") }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let port = Int(digits),
            port <= 65_535
        else { throw refuse("the port is a number from 0 to 65535") }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]") && host.count > 2
        if isBracketed { host = host.dropFirst().dropLast() }
        guard isBracketed == host.contains(":"), !host.contains("["), !host.contains("]") else {
            throw refuse("an IPv6 address stands in brackets")
        }
        guard !host.isEmpty else { throw refuse("the host is missing") }
        self.init(host: String(host), port: port)
    }

    /// The address as `host:port`.
    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
