extension KeyedChanges where Row: Equatable {
    /// Joins two tables that change, or streams taken as such: the result follows inserts, updates and
    /// deletes on both sides.
    ///
    /// Each row meets all rows of the other side with the same key. The rows of both sides are kept:
    /// for ever, or until a key has had no change for the time-to-live; what expires is not deleted
    /// from the result. `weir_state_keys` shows how many keys have rows.
    ///
    /// ```swift
    /// let rates = updates.keyed(by: \.currency).latest().keyed(by: \.currency)
    /// orders.inserted().keyed(by: \.currency)
    ///     .join(rates, .left) { order, rate in Priced(order, rate?.factor) }
    /// ```
    ///
    /// - Parameters:
    ///   - other: The other table, with keys of the same type.
    ///   - kind: Which rows and pairs are results.
    ///   - ttl: How long the rows of a key outlive its last change. Default: for ever.
    ///   - rowsPerKey: How many rows a key keeps on each side; further ones go to the dead letters.
    ///     Default 1,000,000.
    ///   - name: The stage's name, unique in its topology.
    ///   - combine: Makes a row of the result; nil leaves it out. A pure function: it is called again
    ///     to take a row back.
    /// - Complexity: O(rows of the key) per change.
    ///
    /// **Emits when** a change alters the result. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** both inputs have ended. **Cancels when** nobody takes its changes any more.
    /// **On restart** the rows are as before the change that failed.
    @inlinable
    public func join<
        Other: Equatable & Sendable, First, Second, Output: Sendable, Failure: Error
    >(
        _ other: KeyedChanges<Key, Other>, _ kind: JoinKind<Row, Other, First, Second>,
        ttl: StateTTL? = nil, rowsPerKey: Int = 1_000_000, name: String? = nil,
        file: StaticString = #fileID, line: UInt = #line,
        _ combine: @escaping @Sendable (First, Second) throws(Failure) -> Output?
    ) -> ChangeStream<Output> {
        let (leftKeys, rightKeys) = (changes.keys, other.changes.keys)
        let node = changes.joinStage(
            other.changes, "changeJoin", name: name,
            traits: NodeTraits(problem: ttl?.problem ?? JoinLimit.problem(rowsPerKey)),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            if Failure.self != Never.self { scope.markFallible() }
            let updates = KeyedUpdates<Key, JoinRows<Row, Other>, Change<Output>>(
                scope, ttl: ttl, JoinRows<Row, Other>.self, outputs[0])
            let tally = BatchTally(scope, .skipped)
            let rule = ChangeJoin<Row, Other, Output>(
                kind.shape, limit: rowsPerKey, tally: tally
            ) { left, right in
                guard let (first, second) = kind.parts(left, right) else { return nil }
                return try combine(first, second)
            }
            let left = updates.receiver(
                keys: leftKeys, initial: JoinRows()
            ) { _, change, time, rows, output in
                try rule.left(change, &rows) { output.append($0, at: time) }
                return !rows.isEmpty
            }
            let right = updates.receiver(
                keys: rightKeys, forwardsSignals: false, initial: JoinRows()
            ) { _, change, time, rows, output in
                try rule.right(change, &rows) { output.append($0, at: time) }
                return !rows.isEmpty
            }
            return (left, right)
        }
        return ChangeStream(EventStream<Change<Output>>(node: node))
    }
}

/// How a join's result follows a change on one side, with the rows of the key on both.
@usableFromInline
struct ChangeJoin<Left: Equatable & Sendable, Right: Equatable & Sendable, Output: Sendable> {
    @usableFromInline typealias Rows = JoinRows<Left, Right>
    @usableFromInline typealias Emit = (Change<Output>) -> Void
    @usableFromInline let shape: JoinShape
    @usableFromInline let limit: Int
    @usableFromInline let tally: BatchTally
    /// The row of the result that one or two rows make.
    @usableFromInline let result: (Left?, Right?) throws -> Output?

    @inlinable
    init(
        _ shape: JoinShape, limit: Int, tally: BatchTally,
        _ result: @escaping (Left?, Right?) throws -> Output?
    ) {
        self.shape = shape
        self.limit = limit
        self.tally = tally
        self.result = result
    }

    @inlinable
    func emit(_ before: Output?, _ after: Output?, _ emit: Emit) {
        if let change = Change(from: before, to: after) { emit(change) }
    }

    /// What is in the result for a row on the left by itself, when the right side has rows or none.
    @inlinable
    func alone(_ left: Left, hasRight: Bool) throws -> Output? {
        (hasRight ? shape.leftMatched : shape.leftAlone) ? try result(left, nil) : nil
    }

    /// Takes in a change on the left; gives it up if there is no room for the row.
    @inlinable
    func left(_ change: Change<Left>, _ rows: inout Rows, _ emit: Emit) throws {
        let (before, after) = (change.before, change.after)
        if before == nil, rows.lefts.count >= limit {
            return tally.giveUp(change, JoinLimit.full(limit))
        }
        if let before {
            // A row that is not there, since it has expired, changes nothing that is there.
            guard let index = rows.lefts.lastIndex(of: before) else {
                guard let after else { return }
                return try left(.insert(after), &rows, emit)
            }
            if let after { rows.lefts[index] = after } else { rows.lefts.remove(at: index) }
        } else if let after {
            rows.lefts.append(after)
        }
        let hasRight = !rows.rights.isEmpty
        if !shape.pairs || !hasRight {
            self.emit(
                try before.flatMap { try alone($0, hasRight: hasRight) },
                try after.flatMap { try alone($0, hasRight: hasRight) }, emit)
            return
        }
        let wasAlone = before == nil && rows.lefts.count == 1
        let isAlone = after == nil && rows.lefts.isEmpty
        for right in rows.rights {
            let old =
                if before != nil { try result(before, right) } else if wasAlone, shape.rightAlone {
                    try result(nil, right)
                } else { Output?.none }
            let new =
                if after != nil { try result(after, right) } else if isAlone, shape.rightAlone {
                    try result(nil, right)
                } else { Output?.none }
            self.emit(old, new, emit)
        }
    }

    /// Takes in a change on the right; gives it up if there is no room for the row.
    @inlinable
    func right(_ change: Change<Right>, _ rows: inout Rows, _ emit: Emit) throws {
        let (before, after) = (change.before, change.after)
        if before == nil, rows.rights.count >= limit {
            return tally.giveUp(change, JoinLimit.full(limit))
        }
        if let before {
            guard let index = rows.rights.lastIndex(of: before) else {
                guard let after else { return }
                return try right(.insert(after), &rows, emit)
            }
            if let after { rows.rights[index] = after } else { rows.rights.remove(at: index) }
        } else if let after {
            rows.rights.append(after)
        }
        if rows.lefts.isEmpty {
            guard shape.rightAlone else { return }
            self.emit(
                try before.flatMap { try result(nil, $0) },
                try after.flatMap { try result(nil, $0) }, emit)
            return
        }
        let hadRight = before != nil || rows.rights.count > 1
        let hasRight = !rows.rights.isEmpty
        for left in rows.lefts {
            if !shape.pairs {
                if hadRight == hasRight { return }
                self.emit(
                    try alone(left, hasRight: hadRight), try alone(left, hasRight: hasRight), emit)
                continue
            }
            let old =
                if let before { try result(left, before) } else if !hadRight {
                    try alone(left, hasRight: false)
                } else { Output?.none }
            let new =
                if let after { try result(left, after) } else if !hasRight {
                    try alone(left, hasRight: false)
                } else { Output?.none }
            self.emit(old, new, emit)
        }
    }
}
