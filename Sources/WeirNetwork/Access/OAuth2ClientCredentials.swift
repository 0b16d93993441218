import HTTPTypes
import Synchronization
import WeirJSON

/// Gets access tokens with a client's secret (OAuth 2.0, RFC 6749, section 4.4), and keeps them.
///
/// ```swift
/// let credentials = try OAuth2ClientCredentials(
///     tokenURL: "https://login.example/oauth/token", clientID: "collector",
///     clientSecret: ClientAuthorization.token(inFile: "/run/secrets/collector"), scope: "ingest")
/// client.authorization = .clientCredentials(credentials)
/// ```
///
/// One request is under way at a time, however many ask; the token is renewed before it ends. The
/// secret is sent to the token address alone, and is in no error and no log.
public final class OAuth2ClientCredentials: Sendable {
    /// How it asks for tokens.
    public struct Options: Sendable {
        /// How long before its end a token is renewed; 30 s by default.
        public var renewal: Duration = .seconds(30)
        /// How long a token is kept whose server does not say; 5 min by default.
        public var defaultLifetime: Duration = .seconds(300)
        /// The shortest time between two requests after one has failed; 1 s by default.
        public var retryDelay: Duration = .seconds(1)
        /// Times, bounds and trust of the requests.
        public var client = HTTPClient.Configuration()
        /// Allows a token address without TLS that is not loopback; off by default.
        public var allowsPlainText = false

        /// Creates the default options.
        public init() {}
    }

    private struct Grant: Sendable {
        let token: String
        let renewAt: ContinuousClock.Instant
    }

    private struct State: Sendable {
        var grant: Grant?
        var request: Task<Grant, any Error>?
        var retryAt: ContinuousClock.Instant?
        var lastFailure: NetworkError?
    }

    private let tokenURL: String
    private let publicName: String
    private let form: [UInt8]
    private let authorization: String
    private let options: Options
    private let client: HTTPClient
    private let state = Mutex(State())

    /// Describes a client.
    ///
    /// - Parameters:
    ///   - tokenURL: Where tokens are given out; `https://`, or loopback.
    ///   - scope: What is asked for, separated by spaces; nothing by default.
    ///   - audience: For whom the token is to be, where the server wants to know.
    /// - Throws: ``NetworkError`` for an address that is not valid, or that would tell the secret.
    public init(
        tokenURL: String, clientID: String, clientSecret: String, scope: String? = nil,
        audience: String? = nil, options: Options = Options()
    ) throws(NetworkError) {
        let url = try NetworkURL(tokenURL, .http)
        guard url.isSecure || isLoopback(url.host) || options.allowsPlainText else {
            throw NetworkError(
                .invalidArgument,
                "\(url.publicName) would get the client's secret without TLS; use https://")
        }
        self.tokenURL = tokenURL
        publicName = url.publicName
        var fields = [("grant_type", "client_credentials")]
        if let scope { fields.append(("scope", scope)) }
        if let audience { fields.append(("audience", audience)) }
        let text = fields.map { "\($0.0)=\(PercentEncoding.encode($0.1))" }.joined(separator: "&")
        form = Array(text.utf8)
        // RFC 6749, 2.3.1: both are form-encoded before they become the user and the password.
        let pair = "\(PercentEncoding.encode(clientID)):\(PercentEncoding.encode(clientSecret))"
        authorization = "Basic " + WebSocketHandshake.base64(Array(pair.utf8))
        self.options = options
        var configuration = options.client
        configuration.body.maximumLength = min(configuration.body.maximumLength, 256 * 1_024)
        configuration.authorization = nil
        client = try HTTPClient(configuration)
    }

    /// A token that is valid for a while: the one that is kept, or a new one.
    ///
    /// - Throws: ``NetworkError`` when the server gives none.
    public func token() async throws -> String {
        let now = ContinuousClock.now
        enum Way { case kept(String), wait(Task<Grant, any Error>), fail(NetworkError) }
        let way = state.withLock { state -> Way in
            if let grant = state.grant, grant.renewAt > now { return .kept(grant.token) }
            if let request = state.request { return .wait(request) }
            if let retryAt = state.retryAt, retryAt > now, let failure = state.lastFailure {
                return .fail(failure)
            }
            let request = Task { try await self.request() }
            state.request = request
            return .wait(request)
        }
        switch way {
        case .kept(let token): return token
        case .fail(let error): throw error
        case .wait(let request): return try await request.value.token
        }
    }

    /// Keeps a token no longer, since a server has refused it.
    public func forget(_ token: String) {
        state.withLock { state in
            if state.grant?.token == token { state.grant = nil }
        }
    }

    private func request() async throws -> Grant {
        do {
            let grant = try await ask()
            state.withLock { state in
                state.grant = grant
                state.request = nil
                state.retryAt = nil
            }
            return grant
        } catch {
            let failure =
                error as? NetworkError
                ?? NetworkError(.connectionLost, "\(publicName) gave no token", cause: "\(error)")
            state.withLock { state in
                state.request = nil
                state.lastFailure = failure
                state.retryAt = ContinuousClock.now + options.retryDelay
            }
            throw failure
        }
    }

    private struct Answer: Decodable {
        var access_token: String
        var token_type: String?
        var expires_in: Double?
    }

    private func ask() async throws -> Grant {
        let asked = ContinuousClock.now
        var headers = HTTPFields()
        headers[.authorization] = authorization
        headers[.contentType] = "application/x-www-form-urlencoded"
        headers[.accept] = "application/json"
        let (response, body) = try await client.send(
            .post, tokenURL, headers: headers, body: form)
        guard response.status == .ok else {
            throw NetworkError(
                .protocolViolation, "\(publicName) gave no token: status \(response.status.code)")
        }
        // What a server answers wrongly may hold a token: the error does not quote it.
        guard
            let answer = body.withUnsafeBytes({
                try? JSONEventDecoder().decode(Answer.self, from: $0)
            }), answer.token_type.map({ $0.lowercased() == "bearer" }) ?? true,
            !answer.access_token.isEmpty
        else {
            throw NetworkError(.protocolViolation, "\(publicName) answered without a bearer token")
        }
        let seconds = min(max(answer.expires_in ?? -1, -1), 1e8)
        let lifetime = seconds < 0 ? options.defaultLifetime : .seconds(seconds)
        // A token that lives shorter than the renewal time is used for half of its life.
        let useful = max(lifetime - options.renewal, lifetime / 2)
        return Grant(token: answer.access_token, renewAt: asked + useful)
    }
}

extension OAuth2ClientCredentials: CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// Where it asks, and nothing of the secret.
    public var description: String { "client credentials for \(publicName)" }

    /// The same.
    public var debugDescription: String { description }

    /// Shows the description alone.
    public var customMirror: Mirror { Mirror(self, children: ["tokenURL": publicName]) }
}
