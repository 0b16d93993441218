/// What answers requests of one method and path; called on the server's loop, once per request.
///
/// The scan is valid during the call only.
typealias HTTPResponder = @Sendable (HTTPRequestScan, HTTPServerConnection) -> HTTPBeginning

/// What becomes of a request whose head has come.
///
/// Answers at once are `indirect`: else every request would copy the room that they need.
enum HTTPBeginning {
    /// It is answered at once, whatever its body is.
    indirect case reply(HTTPReply)
    /// A problem is answered at once.
    indirect case refuse(HTTPProblem)
    /// Its body is read, and who reads it answers.
    case receive(any HTTPBodyReceiver, HTTPBodyLimits)
    /// Another protocol has taken over the connection.
    case upgraded
}

/// What takes the body of a request and answers it; used on the server's loop only.
protocol HTTPBodyReceiver: AnyObject {
    /// Takes a part of the body and says how many of the bytes it has used.
    ///
    /// With fewer than all, the connection isn't read until ``HTTPServerConnection/resume()``.
    func receive(_ bytes: UnsafeRawBufferPointer, _ connection: HTTPServerConnection) -> Int

    /// All that one read of the socket brought has been given.
    func receivedAll(_ connection: HTTPServerConnection)

    /// The body is complete: the answer is due, now or later.
    func end(_ connection: HTTPServerConnection)

    /// The answer has waited for the peer to read what was written, and may go on.
    func drained(_ connection: HTTPServerConnection)

    /// The connection is gone before the answer was complete.
    func cancelled(_ connection: HTTPServerConnection)
}

extension HTTPBodyReceiver {
    func receivedAll(_ connection: HTTPServerConnection) {}
    func drained(_ connection: HTTPServerConnection) {}
    func cancelled(_ connection: HTTPServerConnection) {}
}

/// What answers requests of one method at a path.
///
/// No tuple: a closure in one is wrapped again at each use.
struct HTTPMethodEndpoint: Sendable {
    let method: String
    let roles: AccessRoles
    let responder: HTTPResponder
}

/// All that is served at one path.
struct HTTPEndpoint: Sendable {
    var acceptor: NetworkServer.Acceptor?
    /// What a client of the acceptor needs.
    var acceptorRoles: AccessRoles = .all
    var page: StaticPage?
    var responders: [HTTPMethodEndpoint] = []

    var isEmpty: Bool { acceptor == nil && page == nil && responders.isEmpty }

    func responder(_ method: String) -> HTTPResponder? { entry(method)?.responder }

    private func entry(_ method: String) -> HTTPMethodEndpoint? {
        for entry in responders where entry.method == method { return entry }
        return method == "HEAD" ? entry("GET") : nil
    }

    /// What a client needs for a request; nil when nothing answers it but an error.
    func roles(_ method: String, upgrades: Bool) -> AccessRoles? {
        if upgrades, acceptor != nil { return acceptorRoles }
        if let entry = entry(method) { return entry.roles }
        if page != nil, method == "GET" || method == "HEAD" { return .read }
        return acceptor != nil && page == nil && responders.isEmpty ? acceptorRoles : nil
    }

    /// The value of an Allow header.
    var allow: String {
        var methods: [String] = []
        if page != nil || acceptor != nil { methods.append("GET") }
        if page != nil { methods.append("HEAD") }
        for entry in responders where !methods.contains(entry.method) {
            methods.append(entry.method)
        }
        if methods.contains("GET"), acceptor == nil, !methods.contains("HEAD") {
            methods.append("HEAD")
        }
        return methods.sorted().joined(separator: ", ")
    }
}

/// The routes of a server, by path and by the beginning of a path.
struct HTTPRoutes: Sendable {
    private var paths: [String: HTTPEndpoint] = [:]
    private var folders: [(prefix: String, folder: StaticFolder)] = []

    mutating func change(_ path: String, _ body: (inout HTTPEndpoint) -> Void) {
        var endpoint = paths[path] ?? HTTPEndpoint()
        body(&endpoint)
        paths[path] = endpoint.isEmpty ? nil : endpoint
    }

    mutating func remove(_ path: String) {
        paths[path] = nil
        folders.removeAll { $0.prefix == path }
    }

    mutating func add(_ folder: StaticFolder, at prefix: String) {
        folders.removeAll { $0.prefix == prefix }
        folders.append((prefix, folder))
        folders.sort { $0.prefix.utf8.count > $1.prefix.utf8.count }
    }

    func endpoint(_ path: String) -> HTTPEndpoint? { paths[path] }

    /// The folder whose prefix is the longest that fits, and the rest of the path.
    func folder(_ path: String) -> (folder: StaticFolder, rest: String)? {
        for (prefix, folder) in folders where path.hasPrefix(prefix) {
            return (folder, String(path.dropFirst(prefix.count)))
        }
        return nil
    }
}
