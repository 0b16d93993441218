/// A value of a document without its type: what `weir inspect` prints.
package indirect enum BinaryValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int128)
    /// An integer beyond 127 bits.
    case wide(UInt128)
    case float(Float)
    case double(Double)
    case text(String)
    case array([BinaryValue])
    /// Names and values in the order of the document.
    case keyed([Member])

    /// A member of a keyed value.
    package struct Member: Sendable, Equatable {
        package let name: String
        package let value: BinaryValue
    }

    /// All values of a document.
    package static func values(
        of bytes: [UInt8], limits: BinaryDecoder.Limits = .init()
    ) throws -> [BinaryValue] {
        var reader = try BinaryReader(bytes, limits: limits)
        var values: [BinaryValue] = []
        while let value = try reader.next(BinaryValue.self) { values.append(value) }
        return values
    }
}

extension BinaryValue: Decodable {
    package init(from decoder: any Decoder) throws {
        guard let decoder = decoder as? ValueDecoder else {
            let context = DecodingError.Context(
                codingPath: decoder.codingPath,
                debugDescription: "only a BinaryDecoder decodes a BinaryValue")
            throw DecodingError.dataCorrupted(context)
        }
        self = try decoder.document.untyped(at: decoder.place)
    }
}

extension Document {
    /// The value at a place as it is, of whatever kind; the scanner has bounded the depth.
    fileprivate func untyped(at place: Place) throws -> BinaryValue {
        let token = token(place)
        switch token.kind {
        case .absent, .null: return .null
        case .no: return .bool(false)
        case .yes: return .bool(true)
        case .unsigned, .negative, .wideSigned: return .integer(try integer(Int128.self, at: place))
        case .wideUnsigned:
            let value = try integer(UInt128.self, at: place)
            return Int128(exactly: value).map(BinaryValue.integer) ?? .wide(value)
        case .float: return .float(try float(at: place))
        case .double: return .double(try double(at: place))
        case .string, .name: return .text(try string(at: place))
        case .array, .run:
            var container = try UnkeyedReader(self, place)
            var elements: [BinaryValue] = []
            while !container.isAtEnd { elements.append(try container.decode(BinaryValue.self)) }
            return .array(elements)
        case .map, .object:
            var members: [BinaryValue.Member] = []
            var failure: (any Error)?
            forEachName(of: Int(place.token)) { name, index in
                guard failure == nil else { return }
                do {
                    let value = try untyped(at: Place(token: Int32(truncatingIfNeeded: index)))
                    members.append(BinaryValue.Member(name: name, value: value))
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            return .keyed(members)
        }
    }
}

extension BinaryValue: CustomStringConvertible {
    /// Text as of JSON, but that NaN and infinities are words.
    package var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): value.description
        case .wide(let value): value.description
        case .float(let value): value.description
        case .double(let value): value.description
        case .text(let value): Self.quoted(value)
        case .array(let elements):
            "[" + elements.map(\.description).joined(separator: ",") + "]"
        case .keyed(let members):
            "{"
                + members.map { "\(Self.quoted($0.name)):\($0.value)" }.joined(separator: ",")
                + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20:
                quoted += scalar.value < 0x10 ? "\\u000" : "\\u001"
                quoted += String(scalar.value & 15, radix: 16)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
