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
