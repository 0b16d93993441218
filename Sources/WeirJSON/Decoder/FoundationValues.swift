#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// The types that `JSONDecoder` and `JSONEncoder` do not leave to their own `Codable`.
///
/// A `Date` is a number and a `UUID` a string by their own conformances already.
extension Document {
    @inline(__always)
    func isFoundation<Value>(_ type: Value.Type) -> Bool {
        type == Data.self || type == URL.self || type == Decimal.self
    }

    func foundationValue<Value: Decodable>(
        _ type: Value.Type, at place: Place
    ) throws -> Value {
        if type == Data.self { return same(try data(at: place), as: type) }
        if type == URL.self { return same(try url(at: place), as: type) }
        if type == Decimal.self { return same(try decimal(at: place), as: type) }
        return try Value(from: ValueDecoder(document: self, place: place))
    }

    @inline(never)
    private func data(at place: Place) throws -> Data {
        guard let data = Data(base64Encoded: try string(at: place)) else {
            throw corrupted("the string is not Base64; encode the bytes as RFC 4648", at: place)
        }
        return data
    }

    @inline(never)
    private func url(at place: Place) throws -> URL {
        guard let url = URL(string: try string(at: place)) else {
            throw corrupted("the string is not a URL; send one as RFC 3986 has it", at: place)
        }
        return url
    }

    @inline(never)
    private func decimal(at place: Place) throws -> Decimal {
        let token = token(Int(place.token))
        guard token.kind >= Token.Kind.unsigned, token.kind <= Token.Kind.number else {
            throw mismatch(Decimal.self, at: place)
        }
        let text = String(decoding: text(of: token), as: UTF8.self)
        guard let value = Decimal(string: text), value.isFinite else {
            throw outOfRange(Decimal.self, at: place)
        }
        return value
    }
}

/// The values that are encoded in another way than their own `Encodable` would.
enum FoundationEncoding {
    case string(String)
    /// The digits of a number.
    case number(String)

    @inline(__always)
    init?<Value>(_ value: Value) {
        if Value.self == Data.self {
            // Safety: the types have been compared, here and below.
            self = .string(unsafeBitCast(value, to: Data.self).base64EncodedString())
        } else if Value.self == URL.self {
            self = .string(unsafeBitCast(value, to: URL.self).absoluteString)
        } else if Value.self == Decimal.self {
            self = .number(unsafeBitCast(value, to: Decimal.self).description)
        } else {
            return nil
        }
    }
}
