package import WeirBinary

/// A piece of an operator's state that checkpoints keep; confined to the stage's actor.
@usableFromInline
package protocol CheckpointedState: AnyObject {
    /// What it holds, for messages, such as `table of String to Account`.
    var contents: String { get }
    /// What keeps it from being stored, such as a type that isn't Codable; nil if nothing does.
    var obstacle: String? { get }
    /// Whether its portions belong to key groups, so that it can be spread over another number of
    /// instances.
    var isKeyed: Bool { get }
    /// The version of what it holds, told apart by its owner.
    var version: Int { get }
    /// Takes note of the state as it is in a new run.
    func noteInitial()
    /// Freezes the state as it is now, between batches.
    func beginCapture() throws
    /// The next portion of what was frozen; nil when all of it has been given.
    func captureNext() -> CapturedPortion?
    /// Takes a portion in, before any event.
    ///
    /// - Parameter ownsGroup: Whether this instance owns a key group; what it doesn't own is left
    ///   out.
    func restore(_ portion: inout RestoredPortion, ownsGroup: (Int) -> Bool) throws
    /// All portions have been taken in.
    func finishRestore()
}

extension CheckpointedState {
    package var version: Int { 1 }
    @usableFromInline package func noteInitial() {}
    @usableFromInline package func finishRestore() {}
}

/// A frozen portion of state, on its way to the store: encoded away from the stage.
@usableFromInline
package struct CapturedPortion: Sendable {
    package let entries: Int
    /// The key group, or -1 for state that has none; nil when it has portions of several.
    package let group: Int?
    /// What the bytes are in a new run; nil when that is not known.
    private let initial: [UInt8]?
    /// Gives the bytes, in one section or in several, each with its key group or -1 for state that
    /// has none.
    package let forEachSection:
        @Sendable (_ body: (_ group: Int, _ bytes: [UInt8]) throws -> Void) throws -> Void

    @usableFromInline
    package init(
        group: Int = -1, entries: Int, initial: [UInt8]? = nil,
        encode: @escaping @Sendable () throws -> [UInt8]
    ) {
        self.entries = entries
        self.group = group
        self.initial = initial
        forEachSection = { body in try body(group, try encode()) }
    }

    package init(
        entries: Int,
        each:
            @escaping @Sendable (_ body: (_ group: Int, _ bytes: [UInt8]) throws -> Void) throws
            -> Void
    ) {
        self.entries = entries
        group = nil
        initial = nil
        forEachSection = each
    }

    /// Gives the sections; returns whether they are others than in a new run.
    func encode(_ body: (_ group: Int, _ bytes: [UInt8]) throws -> Void) throws -> Bool {
        var isChanged = initial == nil
        try forEachSection { group, bytes in
            if bytes != initial { isChanged = true }
            try body(group, bytes)
        }
        return isChanged
    }
}

/// A portion of state as a checkpoint has it.
@usableFromInline
package struct RestoredPortion {
    package let group: Int
    /// The version of what it holds.
    package let version: Int
    package var reader: BinaryReader

    package init(group: Int, version: Int = 1, reader: BinaryReader) {
        self.group = group
        self.version = version
        self.reader = reader
    }
}

/// A value that is kept whole, such as a running total or a buffer.
package final class CheckpointedValue<Value: Sendable>: CheckpointedState {
    private let get: () -> Value
    private let set: (Value) -> Void
    private let codec: StateCodec<Value>?
    private var frozen: Value?
    private var initial: [UInt8]?

    package init(get: @escaping () -> Value, set: @escaping (Value) -> Void) {
        self.get = get
        self.set = set
        codec = .make()
    }

    package var contents: String { "\(Value.self)" }
    package var isKeyed: Bool { false }
    package var obstacle: String? { codec == nil ? "\(Value.self) isn't Codable" : nil }

    package func noteInitial() {
        initial = try? codec?.encode(get())
    }

    package func beginCapture() {
        frozen = get()
    }

    package func captureNext() -> CapturedPortion? {
        guard let value = frozen, let codec else { return nil }
        frozen = nil
        return CapturedPortion(entries: 1, initial: initial) {
            try codec.encode(value)
        }
    }

    package func restore(_ portion: inout RestoredPortion, ownsGroup: (Int) -> Bool) throws {
        if let value = try codec?.read(&portion.reader) { set(value) }
    }
}

/// The entries of a keyed table.
@usableFromInline
package final class CheckpointedTable<Key: Hashable & Codable & Sendable, Value: Sendable>:
    CheckpointedState
{
    let table: KeyedTable<Key, Value>
    private let hash: (Key) -> UInt64
    private let captureGroup: () -> (group: Int, entries: ContiguousArray<(Key, Value, Int64)>)?
    private let restoreEntry: (Key, Value, UInt64, EventTime) -> Void
    private let codec = StateCodec<Value>.make()
    private var cold: CapturedPortion?
    private let migrate: ((OldState, Int) throws -> Value)?
    @usableFromInline package let version: Int

    /// Reads and fills the table by closures that are made where its types are known.
    ///
    /// - Parameters:
    ///   - version: The version of the values.
    ///   - migrate: Makes a value of one of an earlier version.
    @inlinable
    package convenience init(
        _ table: KeyedTable<Key, Value>, version: Int = 1,
        migrate: ((OldState, Int) throws -> Value)? = nil, hash: @escaping (Key) -> UInt64
    ) {
        self.init(
            table, version: version, migrate: migrate, hash: hash,
            captureGroup: { table.captureNextGroup().map { ($0.group, $0.entries) } },
            restoreEntry: { key, value, hash, expiry in
                table.restore(key, value, hash: hash, expiry: expiry)
            })
    }

    @usableFromInline
    package init(
        _ table: KeyedTable<Key, Value>, version: Int,
        migrate: ((OldState, Int) throws -> Value)?, hash: @escaping (Key) -> UInt64,
        captureGroup:
            @escaping () -> (group: Int, entries: ContiguousArray<(Key, Value, Int64)>)?,
        restoreEntry: @escaping (Key, Value, UInt64, EventTime) -> Void
    ) {
        self.table = table
        self.restoreEntry = restoreEntry
        self.version = version
        self.migrate = migrate
        self.hash = hash
        self.captureGroup = captureGroup
    }

    @usableFromInline package var contents: String { "table of \(Key.self) to \(Value.self)" }
    @usableFromInline package var isKeyed: Bool { true }
    @usableFromInline package var obstacle: String? {
        codec == nil ? "\(Value.self) isn't Codable" : nil
    }

    @usableFromInline package func beginCapture() throws {
        table.beginCapture()
        cold = try table.cold?.freeze()
    }

    @usableFromInline package func captureNext() -> CapturedPortion? {
        guard let codec, let (group, entries) = captureGroup() else { return cold.take() }
        return CapturedPortion(group: group, entries: entries.count) {
            var writer = BinaryWriter()
            for (key, value, deadline) in entries {
                try writer.append(key)
                try codec.write(value, &writer)
                try writer.append(deadline)
            }
            return writer.finish()
        }
    }

    @usableFromInline package func restore(
        _ portion: inout RestoredPortion, ownsGroup: (Int) -> Bool
    ) throws {
        guard let codec else { return }
        while let key = try portion.reader.next(Key.self) {
            let hash = hash(key)
            guard let value = try readValue(&portion, codec),
                let deadline = try portion.reader.next(Int64.self)
            else { return }
            guard ownsGroup(KeyGroup.keyGroup(ofHash: hash)) else { continue }
            restoreEntry(key, value, hash, EventTime(nanoseconds: deadline))
        }
    }
}

extension CheckpointedTable {
    private func readValue(
        _ portion: inout RestoredPortion, _ codec: StateCodec<Value>
    ) throws -> Value? {
        guard portion.version != version, let migrate else {
            return try codec.read(&portion.reader)
        }
        let value = try migrate(OldState(portion.reader), portion.version)
        _ = try portion.reader.next(SkippedValue.self)
        return value
    }
}

/// The timers of a keyed stage.
package final class CheckpointedTimers<Key: Hashable & Codable & Sendable>: CheckpointedState {
    private let timers: TimerQueue<Key>

    package init(_ timers: TimerQueue<Key>) {
        self.timers = timers
    }

    package var contents: String { "timers of \(Key.self)" }
    package var isKeyed: Bool { true }
    package var obstacle: String? { nil }

    package func beginCapture() {
        timers.index.beginCapture()
    }

    package func captureNext() -> CapturedPortion? {
        guard let (group, entries) = timers.index.captureNextGroup() else { return nil }
        return CapturedPortion(group: group, entries: entries.count) {
            var writer = BinaryWriter()
            for (identity, sequence, _) in entries {
                try writer.append(identity.key)
                try writer.append(identity.nanoseconds)
                try writer.append(identity.tag)
                try writer.append(sequence)
            }
            return writer.finish()
        }
    }

    package func restore(_ portion: inout RestoredPortion, ownsGroup: (Int) -> Bool) throws {
        while let key = try portion.reader.next(Key.self) {
            guard let time = try portion.reader.next(Int64.self),
                let tag = try portion.reader.next(UInt32.self),
                let sequence = try portion.reader.next(UInt64.self)
            else { return }
            let hash = stableHash(key)
            guard ownsGroup(KeyGroup.keyGroup(ofHash: hash)) else { continue }
            timers.restore(
                key, hash: hash, at: EventTime(nanoseconds: time), tag: tag, sequence: sequence)
        }
    }
}
