import WeirCore

/// What is wrong with a request, as `application/problem+json` tells it (RFC 9457).
public struct HTTPProblem: Error, Sendable, Hashable {
    /// A further member of the body.
    public enum Member: Sendable, Hashable {
        /// A number.
        case number(Int)
        /// A text.
        case text(String)
    }

    /// The status of the response.
    public var status: Int
    /// The kind of problem in a few words; the status's own words by default.
    public var title: String
    /// What is wrong with this request, and what to do about it.
    public var detail: String
    /// Further members in the order in which they are written.
    public var members: [(name: String, value: Member)] = []
    /// Seconds after which the client may try again: the header `Retry-After`.
    public var retryAfter: Int?
    /// The methods that are allowed: the header `Allow`, for status 405.
    public var allow: String?
    /// How the client can show who it is: the header `WWW-Authenticate`, for status 401 and 403.
    public var challenge: String?

    /// Describes a problem.
    public init(_ status: Int, _ detail: String, title: String? = nil) {
        self.status = status
        self.title = title ?? HTTPStatus.reason(status)
        self.detail = detail
    }

    init(_ error: HTTPError) { self.init(error.status, error.reason) }

    /// The same with a further member.
    public func with(_ name: String, _ value: Member) -> HTTPProblem {
        var copy = self
        copy.members.append((name, value))
        return copy
    }

    /// Two problems are equal when they are written alike.
    public static func == (left: HTTPProblem, right: HTTPProblem) -> Bool {
        left.body == right.body && left.retryAfter == right.retryAfter && left.allow == right.allow
            && left.challenge == right.challenge
    }

    /// Feeds what ``==(_:_:)`` compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(body)
        hasher.combine(retryAfter)
        hasher.combine(allow)
        hasher.combine(challenge)
    }

    /// The body as JSON.
    var body: String {
        var text = #"{"type":"about:blank","title":\#(EventText.quoted(title)),"status":\#(status)"#
        text += #","detail":\#(EventText.quoted(detail))"#
        for (name, value) in members {
            switch value {
            case .number(let number): text += ",\(EventText.quoted(name)):\(number)"
            case .text(let value): text += ",\(EventText.quoted(name)):\(EventText.quoted(value))"
            }
        }
        return text + "}\n"
    }
}
