import RawStructuredFieldValues

/// Reads the value of an `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header-07): an
/// item of a structured field (RFC 9651) that is a string; its parameters have no meaning.
enum IdempotencyKey {
    /// The characters between the quotes.
    ///
    /// - Throws: ``HTTPError`` with status 400.
    static func parse(
        _ field: UnsafeRawBufferPointer, maximumLength: Int
    ) throws(HTTPError) -> [UInt8] {
        var parser = StructuredFieldValueParser([UInt8](field))
        guard case .string(let key) = try? parser.parseItemFieldValue().rfc9651BareItem else {
            throw HTTPError(400, #"an Idempotency-Key is a string in quotes, such as "8e03978e""#)
        }
        guard (1...max(1, maximumLength)).contains(key.utf8.count) else {
            throw HTTPError(400, "an Idempotency-Key has 1 to \(maximumLength) characters")
        }
        return Array(key.utf8)
    }
}
