/// Where a value stands in its document: enough to find its coding path when an error asks.
struct Place: Sendable {
    /// The index of the value's token.
    var token: Int32
    /// The index of the token of the array or object around it, or -1.
    var parent: Int32
    /// Its ordinal in an array, or the index of its key's token in an object.
    var position: Int32

    static let root = Place(token: 0, parent: -1, position: 0)
}

/// A key of a coding path.
enum PathKey: CodingKey {
    case name(String)
    case index(Int)

    init(stringValue: String) { self = .name(stringValue) }
    init(intValue: Int) { self = .index(intValue) }

    var stringValue: String {
        switch self {
        case .name(let name): name
        case .index(let index): "Index \(index)"
        }
    }

    var intValue: Int? {
        switch self {
        case .name: nil
        case .index(let index): index
        }
    }

    /// What an error shows: the name, or the index in brackets.
    static func text(of key: any CodingKey) -> String {
        key.intValue.map { "[\($0)]" } ?? key.stringValue
    }
}
