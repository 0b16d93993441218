/// The tape and the bytes of the document that is being decoded.
///
/// Decoders and containers hold on to it, even past the call if user code keeps one. The call
/// closes it when it ends: the document is empty then, so that nothing reads memory that is gone.
final class Document {
    private var tokens: UnsafeMutablePointer<Token>
    private var count: Int
    private(set) var start: UnsafePointer<UInt8>
    private(set) var bytesEnd: UnsafePointer<UInt8>
    var indexes: [[String: Int32]] = []

    init(_ scanner: Scanner) {
        tokens = scanner.tape.tokens
        count = scanner.tape.count
        start = scanner.start
        bytesEnd = scanner.end
    }

    func close() {
        count = 0
        bytesEnd = start
        indexes = []
    }

    @inline(__always)
    func token(_ index: Int) -> Token {
        index < count && index >= 0 ? tokens[index] : .absent
    }

    /// The index past the value at `index`.
    @inline(__always)
    func next(after index: Int) -> Int {
        let token = token(index)
        return token.isContainer ? token.end : index + 1
    }

    @inline(__always)
    func setPayload(_ payload: UInt64, at index: Int) {
        if index < count { tokens[index].payload = payload }
    }

    /// The number of elements of an array or object.
    @inline(__always)
    func elements(of container: Int) -> Int { Int(token(container + 1).extentAndKind) }

    @inline(__always)
    func text(of token: Token) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: start + Int(token.offset), count: token.extent)
    }
}

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
