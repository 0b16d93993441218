/// The parts of an address such as `ws://host:port/path`.
struct NetworkURL: Sendable {
    /// A family of addresses: their scheme without and with TLS.
    struct Scheme: Sendable {
        let plain: String
        /// Nil where TLS isn't spoken.
        let secure: String?
        /// What such an address is called in errors.
        let name: String
        var securePort = 443

        static let http = Scheme(plain: "http", secure: "https", name: "an HTTP address")
        static let webSocket = Scheme(plain: "ws", secure: "wss", name: "a WebSocket address")
        static let tcp = Scheme(
            plain: "tcp", secure: "tls", name: "a TCP address", securePort: Self.plainPort)

        static let plainPort = 80

        /// What the addresses begin with, for errors.
        fileprivate var beginnings: String {
            "\(plain)://" + (secure.map { " or \($0)://" } ?? "")
        }
    }

    /// Whether it asks for TLS.
    let isSecure: Bool
    let host: String
    let port: Int
    /// Path and query, at least `/`.
    let target: String
    private let scheme: Scheme

    /// Reads an address.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` with what is wrong.
    init(_ text: String, _ scheme: Scheme) throws(NetworkError) {
        func wrong(_ why: String) -> NetworkError {
            // What may be secret is not repeated: a user and password, a query.
            let shown = text.contains("@") ? "the address" : text.prefix { $0 != "?" }
            return NetworkError(.invalidArgument, "\(shown) is not \(scheme.name): \(why)")
        }
        self.scheme = scheme
        let lowercased = text.lowercased()
        isSecure = scheme.secure.map { lowercased.hasPrefix("\($0)://") } ?? false
        let beginning = "\(isSecure ? scheme.secure ?? scheme.plain : scheme.plain)://"
        guard lowercased.hasPrefix(beginning) else {
            throw wrong("it has to begin with \(scheme.beginnings)")
        }
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw wrong("it has characters that are not allowed")
        }
        let rest = text.dropFirst(beginning.count).prefix { $0 != "#" }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<end]
        let path = rest[end...]
        target = path.hasPrefix("/") ? String(path) : "/" + path
        var portText: Substring = ""
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { throw wrong("no ] after [") }
            host = String(authority[authority.index(after: authority.startIndex)..<close])
            portText = authority[authority.index(after: close)...]
        } else {
            let colon = authority.firstIndex(of: ":") ?? authority.endIndex
            host = String(authority[..<colon])
            portText = authority[colon...]
        }
        guard !host.isEmpty, !authority.contains("@") else { throw wrong("it has no host") }
        if portText.isEmpty {
            port = isSecure ? scheme.securePort : Scheme.plainPort
        } else {
            guard portText.hasPrefix(":"), let number = Int(portText.dropFirst()),
                (1...65_535).contains(number)
            else { throw wrong("the port is not a number from 1 to 65535") }
            port = number
        }
    }

    /// The address without its query, which may hold secrets, for logs and errors.
    var publicName: String {
        let scheme = isSecure ? scheme.secure ?? scheme.plain : scheme.plain
        return "\(scheme)://\(authority)\(target.prefix { $0 != "?" })"
    }

    /// The value of the Host header.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? scheme.securePort : Scheme.plainPort) ? name : "\(name):\(port)"
    }
}
