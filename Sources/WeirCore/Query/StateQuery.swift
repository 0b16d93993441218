/// Why a stage can't be asked for state.
public struct QueryError: Error, Hashable, CustomStringConvertible {
    /// The kind of a ``QueryError``.
    public struct Code: Hashable, Sendable {
        let name: String

        /// The stage keeps nothing by keys of this type with values of this type.
        public static let noSuchState = Code(name: "noSuchState")
    }

    /// What kind of error this is.
    public var code: Code
    /// What happened and what to do about it.
    public var message: String

    /// The code and the message in one line.
    public var description: String { "\(code.name): \(message)" }
}

extension StageHandle {
    /// What the stage keeps of a key at this moment; nil if it knows nothing of it.
    ///
    /// The type of the value is what the operator keeps: the handler's `State`, the value of `reduce` or
    /// `scan(into:)`, a row of a table. The question is answered on the actor that owns the key, between two of
    /// its transactions: never in the middle of an event, but perhaps between the firings of one watermark, and
    /// perhaps with effects that a crash undoes, since no checkpoint has them yet. Asking for two keys gives two
    /// moments. State that has expired is there until it is swept. Asking changes nothing; the stage
    /// handles nothing meanwhile.
    ///
    /// ```swift
    /// let running = try await topology.start()
    /// let sum = try await running.stage("sums")?.state(of: "4111", as: Double.self)
    /// ```
    ///
    /// - Throws: ``QueryError`` `noSuchState` when no state of the stage has these types.
    /// - Complexity: O(1), and waiting for the stage's turn.
    public func state<Key: Hashable & Codable & Sendable, Value: Sendable>(
        of key: Key, as type: Value.Type
    ) async throws -> Value? {
        let instances = running.instances[index]
        let hash = stableHash(key)
        let owner = KeyGroup.instance(
            ofGroup: KeyGroup.keyGroup(ofHash: hash), parallelism: max(1, instances.count))
        guard owner < instances.count else { throw noSuchState(Key.self, Value.self, []) }
        let answer = await instances[owner].look(up: key, hash: hash, as: type)
        switch answer {
        case .value(let value): return value
        case .unknown: return nil
        case .noSuchState(let contents): throw noSuchState(Key.self, Value.self, contents)
        }
    }

    private func noSuchState(
        _ key: Any.Type, _ value: Any.Type, _ contents: [String]
    ) -> QueryError {
        let has = contents.isEmpty ? "nothing by key" : contents.joined(separator: ", ")
        return QueryError(
            code: .noSuchState,
            message: "the stage '\(name)' keeps no table of \(key) to \(value); it keeps \(has)")
    }
}

/// What a stage answers.
private enum StateAnswer<Value: Sendable>: Sendable {
    case value(Value)
    case unknown
    /// There is no such table; what there is.
    case noSuchState([String])
}

extension StageActor {
    fileprivate func look<Key: Hashable & Codable & Sendable, Value: Sendable>(
        up key: Key, hash: UInt64, as: Value.Type
    ) -> StateAnswer<Value> {
        aside { find(key, hash) }
    }

    private func find<Key: Hashable & Codable & Sendable, Value: Sendable>(
        _ key: Key, _ hash: UInt64
    ) -> StateAnswer<Value> {
        var contents: [String] = []
        for (_, state) in scope.states {
            let inner = (state as? FollowedState)?.state ?? state
            if let table = (inner as? CheckpointedTable<Key, Value>)?.table {
                return table.peek(key, hash: hash).map { .value($0) } ?? .unknown
            }
            if inner.isKeyed { contents.append(inner.contents) }
        }
        return .noSuchState(contents)
    }
}

extension KeyedTable {
    /// The value of a key, without any note of its having been read.
    func peek(_ key: Key, hash: UInt64) -> Value? {
        let group = enter(hash)
        defer { leave() }
        let slot = group.pointee.find(key, hash)
        if slot >= 0 { return group.pointee.entries[slot].value }
        return cold?.read(key, id: Self.coldID(hash))?.value
    }
}
