/// Failures are `DecodingError`s, which code in `init(from:)` may match, around a ``JSONError``
/// that knows the place; the coding path is only worked out when the error leaves the decoder.
extension Document {
    @inline(never)
    func mismatch(_ type: any Any.Type, at place: Place) -> DecodingError {
        let found = token(Int(place.token))
        if found.kind == Token.Kind.null || found.kind == Token.Kind.missing {
            let error = JSONError(
                .missingValue, .null(type), byteOffset: offset(of: found), place: place)
            return .valueNotFound(type, context("found null", error))
        }
        let error = JSONError(
            .typeMismatch, .mismatch(expected: type, found: found),
            byteOffset: offset(of: found), place: place)
        return .typeMismatch(type, context("found a value of another kind", error))
    }

    @inline(never)
    func notContainer(
        _ type: any Any.Type, _ name: StaticString, at place: Place
    ) -> DecodingError {
        let found = token(Int(place.token))
        if found.kind == Token.Kind.null || found.kind == Token.Kind.missing {
            return mismatch(type, at: place)
        }
        let error = JSONError(
            .typeMismatch, .container(expected: name, found: found),
            byteOffset: offset(of: found), place: place)
        return .typeMismatch(type, context("found a value of another kind", error))
    }

    @inline(never)
    func outOfRange(_ type: any Any.Type, at place: Place) -> DecodingError {
        let error = JSONError(
            .numberOutOfRange, .number(type), byteOffset: offset(of: token(Int(place.token))),
            place: place)
        return .dataCorrupted(context("the number does not fit", error))
    }

    @inline(never)
    func corrupted(_ text: String, at place: Place) -> DecodingError {
        let error = JSONError(
            .dataCorrupted, .text(text), byteOffset: offset(of: token(Int(place.token))),
            place: place)
        return .dataCorrupted(context(text, error))
    }

    @inline(never)
    func keyNotFound(_ key: some CodingKey, in object: Int) -> DecodingError {
        let error = JSONError(
            .missingKey, .key(key.stringValue), byteOffset: offset(of: token(object)),
            place: place(of: object))
        return .keyNotFound(key, context("no such key", error))
    }

    @inline(never)
    func atEnd(_ type: any Any.Type, of array: Int, index: Int) -> DecodingError {
        let place = Place(
            token: -1, parent: Int32(truncatingIfNeeded: array),
            position: Int32(truncatingIfNeeded: index))
        let error = JSONError(
            .missingValue, .end(type), byteOffset: offset(of: token(array)), place: place)
        return .valueNotFound(type, context("the array has no more elements", error))
    }

    private func offset(of token: Token) -> Int? {
        switch token.kind {
        case Token.Kind.missing: nil
        case Token.Kind.ascii, Token.Kind.utf8, Token.Kind.escaped: Int(token.offset) - 1
        default: Int(token.offset)
        }
    }

    private func context(_ text: String, _ error: JSONError) -> DecodingError.Context {
        DecodingError.Context(codingPath: [], debugDescription: text, underlyingError: error)
    }
}
