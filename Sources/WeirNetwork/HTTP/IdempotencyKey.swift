/// Reads the value of an `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header-07): a
/// string of a structured field (RFC 9651, 3.3.3).
enum IdempotencyKey {
    /// The characters between the quotes.
    ///
    /// - Throws: ``HTTPError`` with status 400.
    static func parse(
        _ field: UnsafeRawBufferPointer, maximumLength: Int
    ) throws(HTTPError) -> [UInt8] {
        let (quote, backslash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"))
        guard field.count >= 2, field.first == quote, field.last == quote else {
            throw HTTPError(400, #"an Idempotency-Key is a string in quotes, such as "8e03978e""#)
        }
        var key: [UInt8] = []
        var index = 1
        while index < field.count - 1 {
            var byte = field[index]
            if byte == backslash {
                index += 1
                byte = field[index]
                guard index < field.count - 1, byte == quote || byte == backslash else {
                    throw HTTPError(
                        400, "the Idempotency-Key has a backslash before neither \" nor \\")
                }
            } else if byte == quote || !(0x20...0x7E).contains(byte) {
                throw HTTPError(400, "the Idempotency-Key has a character that is not allowed")
            }
            key.append(byte)
            index += 1
        }
        guard (1...max(1, maximumLength)).contains(key.count) else {
            throw HTTPError(400, "an Idempotency-Key has 1 to \(maximumLength) characters")
        }
        return key
    }
}
