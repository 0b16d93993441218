import HTTPTypes
import Logging
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

/// A log that tests read.
struct RecordedLog: LogHandler {
    let lines: Recorder<String>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let words = all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        lines.append("\(event.message) \(words.joined(separator: " "))")
    }

    static func logger(_ lines: Recorder<String>) -> Logger {
        Logger(label: "test") { _ in RecordedLog(lines: lines) }
    }
}

/// Decides by the token: `later …` in its own time, `NAME:ROLE` else.
struct WordsAuthenticator: Authenticator {
    var lifetime: Int?

    func authenticate(_ credentials: Credentials) -> AuthenticationVerdict {
        guard let token = credentials.bearerToken else { return .notMine }
        if token.hasPrefix("later ") { return .pending }
        return identify(token)
    }

    func verify(_ credentials: Credentials) async -> AuthenticationVerdict {
        await Task.yield()
        return identify(String((credentials.bearerToken ?? "").dropFirst(6)))
    }

    private func identify(_ token: String) -> AuthenticationVerdict {
        let parts = token.split(separator: ":")
        if token == "down" { return .refused(.unavailable) }
        if token == "old" { return .refused(.expired) }
        guard parts.count == 2, let role = AccessRoles(name: String(parts[1])) else {
            return .refused(.invalid)
        }
        return .accepted(
            Identity(
                String(parts[0]), roles: role, method: "words",
                expiresAt: lifetime.map { HTTPDate.now() + $0 }))
    }
}

/// Asks for a page; gives the status, the body and the header.
func ask(
    _ address: SocketAddress, _ path: String, token: String? = nil, key: String? = nil,
    method: HTTPRequest.Method = .get, body: String = "", type: String = "application/json"
) async throws -> (status: Int, body: String, challenge: String?) {
    var headers = HTTPFields()
    if let token { headers[.authorization] = "Bearer \(token)" }
    if let key, let name = HTTPField.Name("X-API-Key") { headers[name] = key }
    if method == .post { headers[.contentType] = type }
    let answer = try await HTTPClient().send(
        method, "http://\(address)\(path)", headers: headers, body: Array(body.utf8))
    return (
        answer.response.status.code, String(decoding: answer.body, as: UTF8.self),
        answer.response.headerFields[.wwwAuthenticate]
    )
}

extension RunConfiguration {
    /// With a log that tests read.
    static func logging(_ lines: Recorder<String>) -> RunConfiguration {
        var configuration = RunConfiguration(logger: RecordedLog.logger(lines))
        configuration.metricsInterval = .zero
        return configuration
    }
}
