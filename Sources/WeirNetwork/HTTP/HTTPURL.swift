/// The parts of an `http://host:port/path` address.
struct HTTPURL: Sendable {
    let host: String
    let port: Int
    /// Path and query, at least `/`.
    let target: String

    /// Reads an address.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` with what is wrong.
    init(_ text: String) throws(NetworkError) {
        func wrong(_ why: String) -> NetworkError {
            NetworkError(.invalidArgument, "\(text) is not an HTTP address: \(why)")
        }
        let scheme = "http://"
        guard text.lowercased().hasPrefix(scheme) else {
            throw wrong("it has to begin with http://")
        }
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw wrong("it has characters that are not allowed")
        }
        let rest = text.dropFirst(scheme.count).prefix { $0 != "#" }
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
            port = 80
        } else {
            guard portText.hasPrefix(":"), let number = Int(portText.dropFirst()),
                (1...65_535).contains(number)
            else { throw wrong("the port is not a number from 1 to 65535") }
            port = number
        }
    }

    /// The value of the Host header.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == 80 ? name : "\(name):\(port)"
    }
}
