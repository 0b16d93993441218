/// Finds out who a peer is by what it has shown.
///
/// A server asks its authenticators in turn; the first that doesn't say ``AuthenticationVerdict/notMine``
/// decides.
public protocol Authenticator: Sendable {
    /// The scheme of the header `WWW-Authenticate` for those who have shown nothing; nil for none.
    var challenge: String? { get }

    /// Decides at once, on the server's loop: it must not block.
    ///
    /// ``AuthenticationVerdict/pending`` has ``verify(_:)`` decide, and the request wait for it.
    func authenticate(_ credentials: Credentials) -> AuthenticationVerdict

    /// Decides in its own time, on a task.
    func verify(_ credentials: Credentials) async -> AuthenticationVerdict
}

extension Authenticator {
    /// `Bearer`.
    public var challenge: String? { "Bearer" }

    /// Refuses: an authenticator that is never pending is not asked.
    public func verify(_ credentials: Credentials) async -> AuthenticationVerdict {
        .refused(.invalid)
    }
}

/// What an authenticator says.
public struct AuthenticationVerdict: Sendable, Hashable {
    enum Choice: Sendable, Hashable {
        case accepted(Identity)
        case refused(AccessRefusal)
        case notMine
        case pending
    }
    let choice: Choice

    /// Who was accepted; nil for every other verdict.
    public var identity: Identity? {
        if case .accepted(let identity) = choice { identity } else { nil }
    }

    /// The peer is this one.
    public static func accepted(_ identity: Identity) -> AuthenticationVerdict {
        AuthenticationVerdict(choice: .accepted(identity))
    }

    /// The peer has shown something that does not count.
    public static func refused(_ reason: AccessRefusal) -> AuthenticationVerdict {
        AuthenticationVerdict(choice: .refused(reason))
    }

    /// The peer has shown nothing of this kind: the next authenticator is asked.
    public static let notMine = AuthenticationVerdict(choice: .notMine)
    /// It takes time: ``Authenticator/verify(_:)`` decides.
    public static let pending = AuthenticationVerdict(choice: .pending)
}

/// Why somebody was refused; under these words refusals are counted.
public struct AccessRefusal: Sendable, Hashable, CustomStringConvertible {
    /// The word.
    public let description: String

    /// A reason of your own; it must not contain what the peer has shown.
    public init(_ word: String) { description = word.visible }

    /// Nothing was shown.
    public static let missing = AccessRefusal("missing")
    /// What was shown is wrong.
    public static let invalid = AccessRefusal("invalid")
    /// What was shown was right once.
    public static let expired = AccessRefusal("expired")
    /// They may do other things, not this.
    public static let forbidden = AccessRefusal("forbidden")
    /// It cannot be found out at the moment; worth trying again.
    public static let unavailable = AccessRefusal("unavailable")
    /// They send more than they may.
    public static let rate = AccessRefusal("rate")
}
