/// Failures are `DecodingError`s, which code in `init(from:)` may match, around an error that knows
/// the place; the coding path is only worked out when the error leaves the decoder.
extension Document {
    @inline(never)
    func mismatch(_ type: any Any.Type, at place: Place) -> DecodingError {
        let found = token(place)
        if found.kind == .null || found.kind == .absent {
            let error = error(.missingValue, "expected \(type) but found \(found.name)", place)
            return .valueNotFound(type, context(error))
        }
        let error = error(.typeMismatch, "expected \(type) but found \(found.name)", place)
        return .typeMismatch(type, context(error))
    }

    @inline(never)
    func corrupted(_ code: BinaryCodingError.Code, _ text: String, at place: Place)
        -> DecodingError
    {
        .dataCorrupted(context(error(code, text, place)))
    }

    @inline(never)
    func keyNotFound(_ key: some CodingKey, in keyed: Int) -> DecodingError {
        let text = "the value has no \"\(key.stringValue)\"; make the property optional"
        let place = Place(token: Int32(truncatingIfNeeded: keyed))
        return .keyNotFound(key, context(error(.missingKey, text, place)))
    }

    @inline(never)
    func atEnd(_ type: any Any.Type, of array: Int) -> DecodingError {
        let text = "expected \(type) but the array has no more elements"
        let place = Place(token: Int32(truncatingIfNeeded: array))
        return .valueNotFound(type, context(error(.missingValue, text, place)))
    }

    private func error(
        _ code: BinaryCodingError.Code, _ text: String, _ place: Place
    ) -> BinaryCodingError {
        let found = token(place)
        let offset = place.token < 0 || !isOpen ? nil : Int(found.offset)
        return BinaryCodingError(code, text, byteOffset: offset, place: place)
    }

    private func context(_ error: BinaryCodingError) -> DecodingError.Context {
        DecodingError.Context(
            codingPath: [], debugDescription: error.message, underlyingError: error)
    }

    // MARK: Paths

    /// The keys and indexes that lead to a place, from the outside in.
    func path(to place: Place) -> [any CodingKey] {
        let target = Int(place.token)
        var path: [any CodingKey] = []
        var container = 0
        while container < target, target < Int(token(container).extent),
            token(container).isContainer
        {
            let isMap = token(container).kind == .map
            var value = container + (isMap ? 2 : 1)
            var position = 0
            while next(after: value) <= target {
                value = next(after: value) + (isMap ? 1 : 0)
                position += 1
            }
            path.append(key(position, value, in: container))
            container = value
        }
        if place.element >= 0 { path.append(PathKey.index(position(of: place))) }
        return path
    }

    private func key(_ position: Int, _ value: Int, in container: Int) -> PathKey {
        let header = token(container)
        switch header.kind {
        case .object:
            return .name(storage.pointee.table?.name(position, of: header.shape) ?? "")
        case .map:
            return .name(String(decoding: text(of: token(value - 1)), as: UTF8.self))
        default: return .index(position)
        }
    }

    /// The index of an element of a run.
    private func position(of place: Place) -> Int {
        let run = token(Int(place.token))
        guard run.kind == .run else { return 0 }
        var offset = Int(run.payload >> 32)
        var position = 0
        while offset < Int(place.element),
            Token.element(
                ofRun: UInt8(truncatingIfNeeded: run.detail), storage.pointee.bytes, &offset,
                end: storage.pointee.byteCount) != nil
        {
            position += 1
        }
        return position
    }

    /// The public form of an error that was thrown while decoding.
    @inline(never)
    func resolve(_ error: any Error) -> any Error {
        if let error = error as? BinaryCodingError { return located(error) }
        guard let error = error as? DecodingError else { return error }
        let code: BinaryCodingError.Code
        let context: DecodingError.Context
        switch error {
        case .typeMismatch(_, let found): (code, context) = (.typeMismatch, found)
        case .valueNotFound(_, let found): (code, context) = (.missingValue, found)
        case .keyNotFound(_, let found): (code, context) = (.missingKey, found)
        case .dataCorrupted(let found): (code, context) = (.dataCorrupted, found)
        @unknown default: return error
        }
        if let cause = context.underlyingError as? BinaryCodingError { return located(cause) }
        return BinaryCodingError(
            code, context.debugDescription, codingPath: context.codingPath.map(PathKey.text),
            cause: error)
    }

    private func located(_ error: BinaryCodingError) -> BinaryCodingError {
        guard let place = error.place else { return error }
        var located = error
        located.codingPath = path(to: place).map(PathKey.text)
        located.place = nil
        return located
    }
}
