#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A page with fixed content.
public struct StaticPage: Sendable {
    /// The media type, for instance `text/html; charset=utf-8`.
    public let contentType: String
    /// The content.
    public let body: SharedBytes

    /// Creates a page from bytes.
    public init(contentType: String, body: some Collection<UInt8>) {
        self.contentType = contentType
        self.body = SharedBytes(body)
    }

    /// Creates a page of HTML.
    public static func html(_ text: String) -> StaticPage {
        StaticPage(contentType: "text/html; charset=utf-8", body: text.utf8)
    }

    /// Creates a page of plain text.
    public static func text(_ text: String) -> StaticPage {
        StaticPage(contentType: "text/plain; charset=utf-8", body: text.utf8)
    }
}

/// The status line and headers of a response.
struct HTTPResponse {
    var status: Int
    var headers: [(name: String, value: String)] = []
    var closes = false

    init(_ status: Int) { self.status = status }

    /// A response that says in one line of text why a request is refused.
    static func refusal(_ error: HTTPError) -> (HTTPResponse, body: String) {
        var response = HTTPResponse(error.status)
        let body = "\(error.status) \(reason(error.status)): \(error.reason)\n"
        response.headers = [
            ("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "\(body.utf8.count)"),
        ]
        return (response, body)
    }

    /// The head as it goes over the wire.
    func head(at seconds: Int) -> String {
        var text =
            "HTTP/1.1 \(status) \(Self.reason(status))\r\nDate: \(HTTPDate.text(seconds))\r\n"
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        if closes { text += "Connection: close\r\n" }
        return text + "\r\n"
    }

    static func reason(_ status: Int) -> String {
        switch status {
        case 101: "Switching Protocols"
        case 200: "OK"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 426: "Upgrade Required"
        case 431: "Request Header Fields Too Large"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 505: "HTTP Version Not Supported"
        default: "Refused"
        }
    }
}

/// The date format of HTTP (RFC 9110, 5.6.7), independent of the process's locale.
enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    static func now() -> Int { time(nil) }

    static func text(_ seconds: Int) -> String {
        var moment = time_t(seconds)
        var parts = tm()
        gmtime_r(&moment, &parts)
        let two = { (value: Int32) in value < 10 ? "0\(value)" : "\(value)" }
        let day = days[Int(parts.tm_wday) % 7]
        let month = months[Int(parts.tm_mon) % 12]
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        return "\(day), \(two(parts.tm_mday)) \(month) \(1_900 + parts.tm_year) \(clock) GMT"
    }
}
