/// Which rows a join gives, and so what its closure gets: a row that may be missing is an optional.
///
/// | kind | the closure gets |
/// | --- | --- |
/// | ``inner`` | each pair of rows |
/// | ``left`` | each pair, and each row on the left without a partner, with nil |
/// | ``right`` | each pair, and each row on the right without a partner, with nil |
/// | ``full`` | each pair, and each row without a partner, with nil |
/// | ``semi`` | each row on the left that has a partner, once |
/// | ``anti`` | each row on the left that has no partner |
public struct JoinKind<Left, Right, First, Second>: Sendable {
    @usableFromInline let shape: JoinShape
    /// What the closure gets of a row on the left, a row on the right, or both.
    @usableFromInline let parts: @Sendable (Left?, Right?) -> (First, Second)?

    @inlinable
    init(_ shape: JoinShape, _ parts: @escaping @Sendable (Left?, Right?) -> (First, Second)?) {
        self.shape = shape
        self.parts = parts
    }
}

extension JoinKind where First == Left, Second == Right {
    /// Each pair of rows.
    @inlinable
    public static var inner: JoinKind {
        JoinKind(.inner) { left, right in
            guard let left, let right else { return nil }
            return (left, right)
        }
    }
}

extension JoinKind where First == Left, Second == Right? {
    /// Each pair, and the rows on the left that have no partner.
    @inlinable
    public static var left: JoinKind {
        JoinKind(.left) { left, right in left.map { ($0, right) } }
    }
}

extension JoinKind where First == Left?, Second == Right {
    /// Each pair, and the rows on the right that have no partner.
    @inlinable
    public static var right: JoinKind {
        JoinKind(.right) { left, right in right.map { (left, $0) } }
    }
}

extension JoinKind where First == Left?, Second == Right? {
    /// Each pair, and the rows on both sides that have no partner.
    @inlinable
    public static var full: JoinKind { JoinKind(.full) { ($0, $1) } }
}

extension JoinKind where First == Left, Second == Void {
    /// Each row on the left that has a partner, once.
    @inlinable
    public static var semi: JoinKind { JoinKind(.semi) { left, _ in left.map { ($0, ()) } } }

    /// Each row on the left that has no partner.
    @inlinable
    public static var anti: JoinKind { JoinKind(.anti) { left, _ in left.map { ($0, ()) } } }
}

/// What of two sets of rows, each of which matches all of the other, is a result.
@usableFromInline
struct JoinShape: Sendable, Equatable {
    /// Pairs are.
    @usableFromInline var pairs = true
    /// A row on the left is when there is none on the right.
    @usableFromInline var leftAlone = false
    /// A row on the right is when there is none on the left.
    @usableFromInline var rightAlone = false
    /// A row on the left is, alone, when there is one on the right.
    @usableFromInline var leftMatched = false

    @inlinable
    init(
        pairs: Bool = true, leftAlone: Bool = false, rightAlone: Bool = false,
        leftMatched: Bool = false
    ) {
        self.pairs = pairs
        self.leftAlone = leftAlone
        self.rightAlone = rightAlone
        self.leftMatched = leftMatched
    }

    @inlinable static var inner: JoinShape { JoinShape() }
    @inlinable static var left: JoinShape { JoinShape(leftAlone: true) }
    @inlinable static var right: JoinShape { JoinShape(rightAlone: true) }
    @inlinable static var full: JoinShape { JoinShape(leftAlone: true, rightAlone: true) }
    @inlinable static var semi: JoinShape { JoinShape(pairs: false, leftMatched: true) }
    @inlinable static var anti: JoinShape { JoinShape(pairs: false, leftAlone: true) }
}

/// The rows of both sides of a join that have met at a key.
@usableFromInline
struct JoinRows<Left, Right> {
    @usableFromInline var lefts: ContiguousArray<Left> = []
    @usableFromInline var rights: ContiguousArray<Right> = []
    /// How many rows found no room.
    @usableFromInline var omitted = 0

    @inlinable
    init() {}

    @inlinable var count: Int { lefts.count + rights.count }
    @inlinable var isEmpty: Bool { lefts.isEmpty && rights.isEmpty }

    /// Calls `body` with each result of a kind of join.
    @inlinable
    func forEach(_ shape: JoinShape, _ body: (Left?, Right?) throws -> Void) rethrows {
        if !shape.pairs {
            guard shape.leftMatched != rights.isEmpty else { return }
            for left in lefts { try body(left, nil) }
        } else if rights.isEmpty {
            guard shape.leftAlone else { return }
            for left in lefts { try body(left, nil) }
        } else if lefts.isEmpty {
            guard shape.rightAlone else { return }
            for right in rights { try body(nil, right) }
        } else {
            for left in lefts {
                for right in rights { try body(left, right) }
            }
        }
    }
}

extension JoinRows: Sendable where Left: Sendable, Right: Sendable {}
extension JoinRows: Encodable where Left: Encodable, Right: Encodable {}
extension JoinRows: Decodable where Left: Decodable, Right: Decodable {}

extension KeyedStream {
    /// A stage with two inputs that are split by the same key.
    ///
    /// - Parameter build: Makes the receivers of the two inputs from those of the outputs' consumers.
    @usableFromInline
    func joinStage<Other: Sendable>(
        _ other: KeyedStream<Key, Other>, _ kind: String, name: String?, traits: NodeTraits,
        at location: SourceLocation,
        _ build:
            @escaping @Sendable (StageScope, [[AnyReceiver]]) -> (
                Receiver<Element>, Receiver<Other>
            )
    ) -> Node {
        var traits = traits
        traits.isKeyed = true
        if let parallelism, !(1...KeyGroup.count).contains(parallelism) {
            traits.problem = "keyed(by:parallelism:) takes a parallelism of 1 to 128"
        }
        return Node(
            kind: kind, name: name,
            inputs: [
                stream.edge(partition: partition), other.stream.edge(partition: other.partition),
            ], isBoundary: true, parallelism: parallelism, traits: traits, location: location
        ) { scope, outputs in
            let (left, right) = build(scope, outputs)
            return [AnyReceiver(left), AnyReceiver(right)]
        }
    }
}
