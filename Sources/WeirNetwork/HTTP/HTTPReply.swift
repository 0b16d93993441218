public import HTTPTypes
import WeirJSON

/// The answer to a request: a head, and a body that is there as a whole.
public struct HTTPReply: Sendable {
    /// Status and headers; `Content-Length`, `Date` and `Connection` are the server's business.
    public var response: HTTPResponse
    /// The body.
    public var body: SharedBytes

    /// Answers with a head and a body.
    public init(_ response: HTTPResponse, body: SharedBytes) {
        self.response = response
        self.body = body
    }

    /// Answers with a status and a body of a media type; without a body when that is empty.
    public init(
        status: Int = 200, contentType: String? = nil, body: some Collection<UInt8> = [UInt8]()
    ) {
        // A status that http-types refuses would trap there.
        let code = (100...999).contains(status) ? status : 500
        response = HTTPResponse(
            status: .init(code: code, reasonPhrase: HTTPStatus.reason(code)))
        if let contentType { response.headerFields[.contentType] = contentType }
        self.body = SharedBytes(body)
    }

    /// Answers with plain text.
    public static func text(_ text: String, status: Int = 200) -> HTTPReply {
        HTTPReply(status: status, contentType: "text/plain; charset=utf-8", body: text.utf8)
    }

    /// Answers with a value as JSON.
    ///
    /// - Throws: What encoding the value throws.
    public static func json(_ value: some Encodable, status: Int = 200) throws -> HTTPReply {
        HTTPReply(
            status: status, contentType: "application/json",
            body: try JSONEventEncoder().encode(value))
    }

    /// Answers with a problem's body and headers (RFC 9457).
    public static func problem(_ problem: HTTPProblem) -> HTTPReply {
        var reply = HTTPReply(
            status: problem.status, contentType: "application/problem+json",
            body: problem.body.utf8)
        if let seconds = problem.retryAfter {
            reply.response.headerFields[.retryAfter] = "\(seconds)"
        }
        if let allow = problem.allow { reply.response.headerFields[.allow] = allow }
        if let challenge = problem.challenge {
            reply.response.headerFields[.wwwAuthenticate] = challenge
        }
        return reply
    }
}
