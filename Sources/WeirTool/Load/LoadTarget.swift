/// What a load is sent to: the parts of `ws://host:port/path` or `tcp://host:port`, with TLS `wss://` or `tls://`.
struct LoadTarget: Sendable, Equatable {
    enum Transport: Sendable, Equatable {
        case webSocket
        case tcp
    }

    let transport: Transport
    /// Whether it speaks TLS.
    let isSecure: Bool
    let url: String
    let host: String
    let port: Int

    /// Reads an address.
    ///
    /// - Throws: A ``LoadError`` that says what is wrong with it.
    init(_ text: String) throws(LoadError) {
        func wrong(_ why: String) -> LoadError {
            LoadError(
                "\(text) is not a target: \(why); write ws://host:port/path or tcp://host:port, or"
                    + " wss:// or tls:// for TLS")
        }
        let lowercased = text.lowercased()
        let schemes: [(String, Transport, Bool)] = [
            ("ws://", .webSocket, false), ("wss://", .webSocket, true), ("tcp://", .tcp, false),
            ("tls://", .tcp, true),
        ]
        guard let found = schemes.first(where: { lowercased.hasPrefix($0.0) }) else {
            throw wrong("it begins with neither ws:// nor tcp://, nor wss:// nor tls://")
        }
        let scheme: String
        (scheme, transport, isSecure) = found
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if transport == .tcp, rest.dropFirst(authority.count).contains(where: { $0 != "/" }) {
            throw wrong("a tcp target has no path")
        }
        guard let colon = authority.lastIndex(of: ":"), authority.last != "]" else {
            throw wrong("it names no port")
        }
        guard let port = Int(authority[authority.index(after: colon)...]),
            (1...65_535).contains(port)
        else { throw wrong("the port is not a number from 1 to 65535") }
        var host = authority[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { throw wrong("it names no host") }
        self.port = port
        self.host = String(host)
        url = text
    }

    /// Whether the host is this machine by its very name; names are not looked up.
    var isLoopback: Bool {
        if host.lowercased() == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

/// Why a load cannot be sent.
struct LoadError: Error, Sendable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
