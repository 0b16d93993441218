/// Any document, decoded by trying one type after the other.
indirect enum Tree: Codable, Equatable {
    case null, bool(Bool), integer(Int), unsigned(UInt64), wide(Int128), widest(UInt128)
    case real(UInt64), single(UInt32), text(String)
    case array([Tree]), keyed([String: Tree])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .unsigned(value)
        } else if let value = try? container.decode(Int128.self) {
            self = .wide(value)
        } else if let value = try? container.decode(UInt128.self) {
            self = .widest(value)
        } else if let value = try? container.decode(Double.self) {
            self = .real(value.bitPattern)
        } else if let value = try? container.decode(Float.self) {
            self = .single(value.bitPattern)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([Tree].self) {
            self = .array(value)
        } else {
            self = .keyed(try container.decode([String: Tree].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .unsigned(let value): try container.encode(value)
        case .wide(let value): try container.encode(value)
        case .widest(let value): try container.encode(value)
        case .real(let value): try container.encode(Double(bitPattern: value))
        case .single(let value): try container.encode(Float(bitPattern: value))
        case .text(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .keyed(let value): try container.encode(value)
        }
    }
}

struct Record: Codable, Equatable {
    var a: Int?
    var b: Float?
    var c: [UInt8]?
    var d: [Int: String]?
    var e: [Int]?
    var f: [Record]?
    var g: Kind?

    enum Kind: Codable, Equatable { case x, y(Int), z(a: [String], b: Bool) }
}

/// What decodes is encoded and decodes to the same; nothing crashes, whatever the bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let document = Array(UnsafeBufferPointer(start: bytes, count: count))
    let decoder = BinaryDecoder(limits: .init(maximumDepth: 24))
    do {
        _ = "\(try BinaryValue.values(of: document, limits: decoder.limits))"
        let record = try decoder.decode(Record.self, from: document)
        let again = try decoder.decode(Record.self, from: BinaryEncoder().encode(record))
        // A NaN is not equal to itself.
        precondition(again == record || "\(again)" == "\(record)", "a record changes by encoding")
    } catch {
        _ = "\(error)"
    }
    guard let tree = try? decoder.decode(Tree.self, from: document) else { return 0 }
    guard let text = try? BinaryEncoder().encode(tree),
        let again = try? decoder.decode(Tree.self, from: text)
    else { preconditionFailure("a document that decodes does not survive encoding") }
    precondition(again == tree, "a document changes by encoding")
    return 0
}
