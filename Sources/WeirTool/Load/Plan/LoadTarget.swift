/// What a load is sent to: the parts of `ws://host:port/path`, `tcp://host:port`,
/// `http://host:port/path` or `unix:path`; with TLS `wss://`, `tls://` or `https://`.
struct LoadTarget: Sendable, Equatable {
    enum Transport: String, Sendable, Codable {
        case webSocket
        case tcp
        case http
    }

    let transport: Transport
    /// Whether it speaks TLS.
    let isSecure: Bool
    let url: String
    let host: String
    let port: Int
    /// What an HTTP request asks for: path and query, at least `/`.
    let path: String
    /// The socket in the file system to connect to in place of the host.
    var unixPath: String?

    private struct Scheme {
        let start: String
        let transport: Transport
        var isSecure = false
        var defaultPort: Int?
    }

    private static let schemes = [
        Scheme(start: "ws://", transport: .webSocket),
        Scheme(start: "wss://", transport: .webSocket, isSecure: true),
        Scheme(start: "tcp://", transport: .tcp),
        Scheme(start: "tls://", transport: .tcp, isSecure: true),
        Scheme(start: "http://", transport: .http, defaultPort: 80),
        Scheme(start: "https://", transport: .http, isSecure: true, defaultPort: 443),
    ]

    /// Reads an address.
    ///
    /// - Throws: A ``LoadError`` that says what is wrong with it.
    init(_ text: String) throws(LoadError) {
        func wrong(_ why: String) -> LoadError {
            LoadError(
                "\(text) is not a target: \(why); write ws://host:port/path, tcp://host:port,"
                    + " http://host:port/path, or unix:path; wss://, tls:// or https:// for TLS")
        }
        url = text
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty else { throw wrong("it names no path") }
            (transport, isSecure, host, port) = (.tcp, false, "localhost", 0)
            self.path = "/"
            unixPath = path
            return
        }
        let lowercased = text.lowercased()
        guard let scheme = Self.schemes.first(where: { lowercased.hasPrefix($0.start) }) else {
            throw wrong("it begins with none of ws://, tcp://, http:// and unix:")
        }
        (transport, isSecure) = (scheme.transport, scheme.isSecure)
        let rest = text.dropFirst(scheme.start.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let behind = rest.dropFirst(authority.count)
        if transport == .tcp, behind.contains(where: { $0 != "/" }) {
            throw wrong("a tcp target has no path")
        }
        guard behind.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw wrong("the path has characters that have to be percent-encoded")
        }
        let target = behind.prefix { $0 != "#" }
        path = target.hasPrefix("/") ? String(target) : "/" + target
        var host = authority
        if let colon = authority.lastIndex(of: ":"), authority.last != "]" {
            guard let number = Int(authority[authority.index(after: colon)...]),
                (1...65_535).contains(number)
            else { throw wrong("the port is not a number from 1 to 65535") }
            port = number
            host = authority[..<colon]
        } else {
            guard let port = scheme.defaultPort else { throw wrong("it names no port") }
            self.port = port
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, !host.contains("@") else { throw wrong("it names no host") }
        self.host = String(host)
    }

    /// Whether the host is this machine by its very name; names are not looked up.
    var isLoopback: Bool {
        if unixPath != nil || host.lowercased() == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// The value of an HTTP request's Host header.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }
}

/// Why a load cannot be sent.
struct LoadError: Error, Sendable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
