extension Document {
    /// The keys and indexes that lead to a place, from the outside in.
    func path(to place: Place) -> [any CodingKey] {
        var path: [any CodingKey] = []
        var parent = Int(place.parent)
        var position = Int(place.position)
        while parent >= 0, token(parent).isContainer {
            if token(parent).kind == Token.Kind.object {
                path.append(PathKey.name(string(of: token(position))))
            } else {
                path.append(PathKey.index(position))
            }
            position = Int(token(parent + 1).offset)
            parent = token(parent).extent
            if parent == Tape.noParent { break }
        }
        return path.reversed()
    }

    /// The path to the elements of a container.
    func path(of container: Int) -> [any CodingKey] {
        path(to: place(of: container))
    }

    /// The place of a container, from its tokens.
    func place(of container: Int) -> Place {
        let parent = token(container).extent
        return Place(
            token: Int32(truncatingIfNeeded: container),
            parent: parent == Tape.noParent ? -1 : Int32(truncatingIfNeeded: parent),
            position: Int32(truncatingIfNeeded: token(container + 1).offset))
    }

    /// The public form of an error that was thrown while decoding.
    func resolve(_ error: any Error) -> any Error {
        if let error = error as? JSONError { return located(error) }
        guard let error = error as? DecodingError else { return error }
        let code: JSONError.Code
        let context: DecodingError.Context
        switch error {
        case .typeMismatch(_, let found): (code, context) = (.typeMismatch, found)
        case .valueNotFound(_, let found): (code, context) = (.missingValue, found)
        case .keyNotFound(_, let found): (code, context) = (.missingKey, found)
        case .dataCorrupted(let found): (code, context) = (.dataCorrupted, found)
        @unknown default: return error
        }
        if let cause = context.underlyingError as? JSONError { return located(cause) }
        return JSONError(
            code, .text(context.debugDescription),
            codingPath: context.codingPath.map(PathKey.text))
    }

    private func located(_ error: JSONError) -> JSONError {
        guard let place = error.place else { return error }
        var located = error
        located.codingPath = path(to: place).map(PathKey.text)
        located.place = nil
        return located
    }
}
