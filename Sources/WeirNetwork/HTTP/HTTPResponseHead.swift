/// The status line and headers of a response.
struct HTTPResponseHead {
    var status: Int
    var headers: [(name: String, value: String)] = []
    var closes = false

    init(_ status: Int) { self.status = status }

    /// The head as it goes over the wire.
    func head(at seconds: Int) -> String {
        var text =
            "HTTP/1.1 \(status) \(HTTPStatus.reason(status))\r\nDate: \(HTTPDate.text(seconds))\r\n"
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        if closes { text += "Connection: close\r\n" }
        return text + "\r\n"
    }
}

/// The words of status codes.
enum HTTPStatus {
    static func reason(_ status: Int) -> String {
        switch status {
        case 100: "Continue"
        case 101: "Switching Protocols"
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 206: "Partial Content"
        case 304: "Not Modified"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Content"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Status \(status)"
        }
    }
}
