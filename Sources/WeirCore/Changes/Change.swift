/// What happens to a row of a result that is not final: it appears, becomes another one, or goes.
///
/// The rows at any time are those that the changes so far leave; the same row may be there several
/// times. An update carries both rows, so no reader ever sees the moment in between.
public enum Change<Row: Sendable>: Sendable {
    /// The row is new.
    case insert(Row)
    /// A row becomes another one.
    case update(before: Row, after: Row)
    /// The row is not there any more.
    case delete(Row)

    /// The row that is there now; nil after a delete.
    @inlinable
    public var after: Row? {
        switch self {
        case .insert(let row), .update(_, let row): row
        case .delete: nil
        }
    }

    /// The row that was there before; nil before an insert.
    @inlinable
    public var before: Row? {
        switch self {
        case .insert: nil
        case .update(let row, _), .delete(let row): row
        }
    }

    /// The newest row that the change names: the one after it, or the one that is deleted.
    @inlinable
    public var row: Row {
        switch self {
        case .insert(let row), .update(_, let row), .delete(let row): row
        }
    }

    /// The change from one row, or none, to another, or none; nil from none to none.
    @inlinable
    public init?(from before: Row?, to after: Row?) {
        switch (before, after) {
        case (nil, let after?): self = .insert(after)
        case (let before?, let after?): self = .update(before: before, after: after)
        case (let before?, nil): self = .delete(before)
        case (nil, nil): return nil
        }
    }

    /// The change that this one is to what a function makes of the rows; nil when that is none.
    @inlinable
    func compactMap<Output: Sendable, Failure: Error>(
        _ transform: (Row) throws(Failure) -> Output?
    ) throws(Failure) -> Change<Output>? {
        switch self {
        case .insert(let row):
            guard let output = try transform(row) else { return nil }
            return .insert(output)
        case .delete(let row):
            guard let output = try transform(row) else { return nil }
            return .delete(output)
        case .update(let before, let after):
            return Change<Output>(from: try transform(before), to: try transform(after))
        }
    }
}

extension Change: Equatable where Row: Equatable {}
extension Change: Hashable where Row: Hashable {}
extension Change: Encodable where Row: Encodable {}
extension Change: Decodable where Row: Decodable {}

/// The newest row of a key, or that the key has none any more: what a table outside is told.
public struct Upsert<Key: Hashable & Sendable, Row: Sendable>: Sendable {
    /// The key.
    public let key: Key
    /// Its row; nil deletes.
    public let row: Row?

    /// Creates an upsert.
    @inlinable
    public init(key: Key, row: Row?) {
        self.key = key
        self.row = row
    }
}

extension Upsert: Equatable where Row: Equatable {}
extension Upsert: Hashable where Row: Hashable {}
extension Upsert: Encodable where Key: Encodable, Row: Encodable {}
extension Upsert: Decodable where Key: Decodable, Row: Decodable {}
