/// The rows of a key on one side of a join: the first one without an allocation, since most keys have no more.
@usableFromInline
struct FewRows<Row> {
    @usableFromInline var first: Row?
    /// Those behind the first; empty without one.
    @usableFromInline var others: ContiguousArray<Row> = []

    @inlinable
    init() {}

    @inlinable var count: Int { first == nil ? 0 : others.count &+ 1 }

    @inlinable var isEmpty: Bool { first == nil }

    @inlinable
    mutating func append(_ row: Row) {
        if first == nil { first = row } else { others.append(row) }
    }

    /// Calls `body` with each row, in the order in which they came.
    @inlinable
    @inline(__always)
    func forEach(_ body: (Row) throws -> Void) rethrows {
        guard let first else { return }
        try body(first)
        var index = 0
        while index < others.count {
            try body(others[index])
            index &+= 1
        }
    }
}

extension FewRows: Sendable where Row: Sendable {}
extension FewRows: Encodable where Row: Encodable {}
extension FewRows: Decodable where Row: Decodable {}

/// The rows of a key on both sides of a join.
@usableFromInline
struct MetRows<Left, Right> {
    @usableFromInline var lefts = FewRows<Left>()
    @usableFromInline var rights = FewRows<Right>()

    @inlinable
    init() {}

    @inlinable var count: Int { lefts.count &+ rights.count }
}

extension MetRows: Sendable where Left: Sendable, Right: Sendable {}
extension MetRows: Encodable where Left: Encodable, Right: Encodable {}
extension MetRows: Decodable where Left: Decodable, Right: Decodable {}
