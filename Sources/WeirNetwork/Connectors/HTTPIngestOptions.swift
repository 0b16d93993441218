public import WeirCore

/// What a source that takes POST requests accepts, and how long it waits for room.
public struct HTTPIngestOptions: Sendable {
    /// Bytes of one document or array, beyond which it gets 413; 1 MiB by default.
    public var maximumDocumentLength = 1 << 20
    /// Bytes of one line of a stream, beyond which it gets 413; 1 MiB by default.
    public var maximumLineLength = 1 << 20
    /// Bytes of one stream of lines, beyond which it gets 413; 1 GiB by default.
    public var maximumStreamLength = 1 << 30
    /// How long events wait for room before their sender gets 429; 2 s by default.
    public var patience: Duration = .seconds(2)
    /// After how long a sender that got 429 or 503 may come again; 1 s by default.
    public var retryAfter: Duration = .seconds(1)
    /// Whether a JSON document that is an array is a batch of events; so by default.
    public var takesArrays = true
    /// Media types of a request that is one message; `application/json` by default.
    public var documentTypes = ["application/json"]
    /// Media types of a request with one message a line.
    public var lineTypes = ["application/x-ndjson", "application/ndjson", "application/jsonl"]
    /// Whether a request needs an `Idempotency-Key`, without which it gets 400; not by default.
    public var requiresKey = false
    /// Bytes of an `Idempotency-Key` without its quotes, beyond which it gets 400; 255 by default.
    public var maximumKeyLength = 255
    /// What is kept, in memory and in the ingest journal.
    public var limits = IngestLimits()

    /// Creates the default options.
    public init() {}

    /// How a body is cut into messages.
    enum Form { case document, array, lines }

    /// The form of a body of a media type; `nil` for one that is not taken.
    func form(_ contentType: UnsafeRawBufferPointer) -> Form? {
        let end = contentType.firstIndex(of: UInt8(ascii: ";")) ?? contentType.count
        let range = HTTPSyntax.trimmed(contentType, 0..<end)
        let type = UnsafeRawBufferPointer(rebasing: contentType[range])
        if end < contentType.count {
            // JSON is UTF-8; whoever says otherwise means other bytes.
            let parameters = String(decoding: contentType[end...], as: UTF8.self).lowercased()
            if parameters.contains("charset"), !parameters.contains("utf-8") { return nil }
        }
        if documentTypes.contains(where: { Self.isSame(type, $0) }) {
            return takesArrays && HTTPSyntax.equals(type, "application/json") ? .array : .document
        }
        return lineTypes.contains { Self.isSame(type, $0) } ? .lines : nil
    }

    private static func isSame(_ type: UnsafeRawBufferPointer, _ name: String) -> Bool {
        var name = name
        return name.withUTF8 { name in
            guard name.count == type.count else { return false }
            for index in 0..<name.count
            where HTTPSyntax.lower(type[index]) != HTTPSyntax.lower(name[index]) { return false }
            return true
        }
    }
}
