/// Any document, decoded by trying one type after the other.
indirect enum Tree: Codable, Equatable {
    case null, bool(Bool), integer(Int), real(Double), text(String)
    case array([Tree]), object([String: Tree])

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
        } else if let value = try? container.decode([Tree].self) {
            self = .array(value)
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

struct Record: Codable {
    var a: Int?
    var b: Float?
    var c: [UInt8]?
    var d: [Int: String]?
}

/// What decodes is encoded and decodes to the same; nothing crashes, whatever the bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let document = UnsafeRawBufferPointer(start: bytes, count: count)
    let decoder = JSONEventDecoder(limits: .init(maximumDepth: 24))
    do {
        _ = try decoder.decode(Record.self, from: document)
    } catch {
        _ = "\(error)"
    }
    guard let tree = try? decoder.decode(Tree.self, from: document) else { return 0 }
    for sortedKeys in [false, true] {
        guard let text = try? JSONEventEncoder(sortedKeys: sortedKeys).encode(tree),
            let again = try? decoder.decode(Tree.self, from: text)
        else { preconditionFailure("a document that decodes does not survive encoding") }
        precondition(again == tree, "a document changes by encoding")
    }
    return 0
}
