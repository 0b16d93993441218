import Synchronization

/// The state backends of one run, each opened when the first stage needs it.
package final class StateBackends: Sendable {
    private let common: StateBackend
    private let stages: [String: StateBackend]
    private let engines = Mutex<[ObjectIdentifier: any ColdEngine]>([:])

    package init(_ common: StateBackend = .memory, stages: [String: StateBackend] = [:]) {
        self.common = common
        self.stages = stages
    }

    /// What a stage has in its backend; nil when all its state is in memory.
    ///
    /// - Throws: What opening it throws.
    func open(for stage: String) throws -> StageBackend? {
        let backend = stages[stage] ?? common
        guard let opener = backend.opener else { return nil }
        let engine = try engines.withLock { engines in
            let id = ObjectIdentifier(opener)
            if let opened = engines[id] { return opened }
            let opened = try opener.open()
            engines[id] = opened
            return opened
        }
        return StageBackend(engine, backend)
    }
}

/// What a stage has in a state backend.
package final class StageBackend {
    private let engine: any ColdEngine
    private let backend: StateBackend
    private var failures: [() -> (any Error)?] = []
    /// What keeps state from being there, such as a type that isn't Codable.
    private(set) var obstacles: [String] = []
    private var problem: (any Error)?

    init(_ engine: any ColdEngine, _ backend: StateBackend) {
        self.engine = engine
        self.backend = backend
    }

    /// The cold entries of one more table; nil when something is wrong with them.
    func entries<Key, Value>(
        _ key: Key.Type, _ value: Value.Type, expires: Bool
    ) -> ColdEntries<Key, Value>? {
        guard let codec = StateCodec<Value>.make() else {
            if !backend.keepsUncodable { obstacles.append("\(Value.self) isn't Codable") }
            return nil
        }
        do {
            let entries = ColdEntries<Key, Value>(
                try engine.makeStorage(), codec: codec, cache: backend.cache,
                expires: expires)
            failures.append { [weak entries] in entries?.failure }
            return entries
        } catch {
            problem = problem ?? error
            return nil
        }
    }

    /// - Throws: The first error that kept an entry from being read or written.
    func check() throws {
        if let problem { throw problem }
        for failure in failures {
            if let error = failure() { throw error }
        }
    }
}

extension StageScope {
    /// The entries of a table that memory has no room for; nil when it has room for all.
    @usableFromInline
    func coldEntries<Key: Hashable & Codable & Sendable, Value>(
        _ key: Key.Type, _ value: Value.Type, expires: Bool = false
    ) -> ColdEntries<Key, Value>? {
        backend?.entries(key, value, expires: expires)
    }
}
