import Foundation
import WeirJSON

/// Any document, decoded by trying one type after the other.
indirect enum Tree: Codable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case real(Double)
    case text(String)
    case array([Tree])
    case object([String: Tree])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            // The shortest text of a large double may be that of a whole number.
            self = Int(exactly: value).map(Tree.integer) ?? .real(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if var elements = try? decoder.unkeyedContainer() {
            var array: [Tree] = []
            while !elements.isAtEnd { array.append(try elements.decode(Tree.self)) }
            self = .array(array)
        } else {
            self = .object(try container.decode([String: Tree].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .real(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// The same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// What a decoder made of a document: a value or a refusal.
enum Outcome<Value: Equatable>: Equatable {
    case value(Value)
    case refused
}

func ours<Value: Decodable & Equatable>(_ type: Value.Type, _ bytes: [UInt8]) -> Outcome<Value> {
    (try? JSONEventDecoder().decode(type, from: bytes)).map(Outcome.value) ?? .refused
}

func reference<Value: Decodable & Equatable>(
    _ type: Value.Type, _ bytes: [UInt8]
) -> Outcome<Value> {
    (try? JSONDecoder().decode(type, from: Data(bytes))).map(Outcome.value) ?? .refused
}
