package import WeirBinary

// Safety: the closures hold nothing but types.
/// Writes and reads values of a type that turns out to be Codable at run time.
package struct StateCodec<Value>: @unchecked Sendable {
    package let write: (Value, inout BinaryWriter) throws -> Void
    package let read: (inout BinaryReader) throws -> Value?

    /// The codec of the type, or nil when it isn't Codable.
    package static func make() -> StateCodec? {
        guard let type = Value.self as? any Codable.Type else { return nil }
        return make(type)
    }

    /// The value alone.
    func encode(_ value: Value) throws -> [UInt8] {
        var writer = BinaryWriter()
        try write(value, &writer)
        return writer.finish()
    }

    private static func make<Coded: Codable>(_ type: Coded.Type) -> StateCodec {
        StateCodec(
            write: { value, writer in
                // Safety: `Coded` is `Value` itself, seen as a Codable type.
                try writer.append(unsafeBitCast(value, to: Coded.self))
            },
            read: { reader in
                guard let value = try reader.next(Coded.self) else { return nil }
                // Safety: as above.
                return unsafeBitCast(value, to: Value.self)
            })
    }
}
