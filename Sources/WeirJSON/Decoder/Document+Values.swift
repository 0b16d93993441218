extension Document {
    /// Whether there is a value and it is null.
    @inline(__always)
    func isNull(_ index: Int) -> Bool {
        let kind = token(index).kind
        return kind == Token.Kind.null || kind == Token.Kind.missing
    }

    /// Decodes a value of any type, the common ones without a container.
    func value<Value: Decodable>(_ type: Value.Type, at place: Place) throws -> Value {
        if type == String.self { return same(try string(at: place), as: type) }
        if type == Int.self { return same(try integer(Int.self, at: place), as: type) }
        if type == Double.self { return same(try double(at: place), as: type) }
        if type == Bool.self { return same(try bool(at: place), as: type) }
        if type == Int64.self { return same(try integer(Int64.self, at: place), as: type) }
        if type == UInt8.self { return same(try integer(UInt8.self, at: place), as: type) }
        if type == Float.self { return same(try float(at: place), as: type) }
        if isFoundation(type) { return try foundationValue(type, at: place) }
        return try Value(from: ValueDecoder(document: self, place: place))
    }

    @inline(__always)
    func same<Found, Value>(_ value: Found, as type: Value.Type) -> Value {
        // Safety: the caller has compared the two types, which are one.
        unsafeBitCast(value, to: type)
    }
}
