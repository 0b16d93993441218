import HTTPTypes

/// How a client shows a server who it is; its text forms tell no secret.
///
/// ```swift
/// var client = WebSocketClientConfiguration()
/// client.authorization = .bearer(try ClientAuthorization.token(inFile: "/run/secrets/token"))
/// ```
///
/// Use it with `wss://`, `https://` and `tls://`: without TLS whoever is in between can read it.
public struct ClientAuthorization: Sendable {
    /// A header line.
    typealias Header = (name: String, value: String)

    private enum Choice: Sendable {
        case fixed(name: String, value: String)
        case made(@Sendable () async throws -> String, refused: @Sendable (String) -> Void)
    }
    private let choice: Choice

    /// Shows a token: `Authorization: Bearer TOKEN`.
    public static func bearer(_ token: String) -> ClientAuthorization {
        ClientAuthorization(choice: .fixed(name: "Authorization", value: "Bearer \(token)"))
    }

    /// Shows a key: `X-API-Key: KEY`; over TCP the same as ``bearer(_:)``.
    public static func apiKey(_ key: String) -> ClientAuthorization {
        ClientAuthorization(choice: .fixed(name: "X-API-Key", value: key))
    }

    /// Asks a closure for the token before each connection or request.
    ///
    /// - Parameter refused: Gets a token for which a server has answered 401.
    public static func token(
        _ make: @escaping @Sendable () async throws -> String,
        refused: @escaping @Sendable (String) -> Void = { _ in }
    ) -> ClientAuthorization {
        ClientAuthorization(choice: .made(make, refused: refused))
    }

    /// Gets tokens with a client's secret (OAuth 2.0, RFC 6749, section 4.4).
    public static func clientCredentials(
        _ credentials: OAuth2ClientCredentials
    ) -> ClientAuthorization {
        .token {
            try await credentials.token()
        } refused: {
            credentials.forget($0)
        }
    }

    /// Reads a token from a file, without the white space around it.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` when the file cannot be read.
    public static func token(inFile path: String) throws(NetworkError) -> String {
        let bytes = Array(try SecretFile.read(path).utf8)
        let isSpace: (UInt8) -> Bool = { $0 <= 0x20 }
        let front = bytes.drop(while: isSpace)
        let end = front.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? front.startIndex
        return String(decoding: front[..<end], as: UTF8.self)
    }

    // MARK: Use

    /// A token that is known beforehand; nil for one that has to be asked for.
    package var bearerToken: String? {
        guard case .fixed(_, let value) = choice else { return nil }
        return value.hasPrefix("Bearer ") ? String(value.dropFirst(7)) : value
    }

    /// Gives the header on the loop, at once when it is known.
    func header(
        on loop: Loop, _ completion: @escaping (Result<Header, NetworkError>) -> Void
    ) {
        switch choice {
        case .fixed(let name, let value): completion(Self.checked(name, value))
        case .made(let make, _):
            let waiter = LoopBound(completion, on: loop)
            Task {
                let result: Result<Header, NetworkError>
                do {
                    result = Self.checked("Authorization", "Bearer \(try await make())")
                } catch let error as NetworkError {
                    result = .failure(error)
                } catch {
                    result = .failure(
                        NetworkError(.closed, "there is no token to show", cause: "\(error)"))
                }
                loop.onLoop { waiter.value(result) }
            }
        }
    }

    /// Gives the token alone on the loop.
    func token(on loop: Loop, _ completion: @escaping (Result<String, NetworkError>) -> Void) {
        header(on: loop) { result in
            completion(
                result.map { header in
                    header.value.hasPrefix("Bearer ")
                        ? String(header.value.dropFirst(7)) : header.value
                })
        }
    }

    /// A server has answered 401 to this header.
    func refused(_ header: Header) {
        if case .made(_, let refused) = choice { refused(String(header.value.dropFirst(7))) }
    }

    private static func checked(_ name: String, _ value: String) -> Result<Header, NetworkError> {
        guard value.utf8.count <= Credentials.tokenBytesMax,
            value.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else {
            return .failure(
                NetworkError(
                    .invalidArgument, "the token is too long, or has characters that are no ASCII"))
        }
        return .success((name, value))
    }
}

extension ClientAuthorization: CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// Says that there is one, and nothing of it.
    public var description: String { "an authorization that is not shown" }

    /// The same.
    public var debugDescription: String { description }

    /// Shows the description alone.
    public var customMirror: Mirror { Mirror(self, children: ["authorization": description]) }
}
