import Testing
import WeirCore
import WeirTesting

private protocol Account: KeyedHandler
where Key == Int, Input == Int, Output == Int, Failure == Never {
    init()
}

/// Keeps a sum.
private struct FirstAccount: Account {
    struct State: Codable, Sendable { var sum = 0 }

    func initialState(for key: Int) -> State { State() }

    func on(_ event: Int, state: inout State, _ context: inout Context<Int, Int>) {
        state.sum += event
        context.emit(state.sum)
    }
}

/// Has added something optional.
private struct WiderAccount: Account {
    struct State: Codable, Sendable {
        var sum = 0
        var note: String?
    }

    func initialState(for key: Int) -> State { State() }

    func on(_ event: Int, state: inout State, _ context: inout Context<Int, Int>) {
        state.sum += event
        context.emit(state.sum)
    }
}

/// Keeps the events instead.
private struct SecondAccount: Account {
    struct State: Codable, Sendable { var amounts: [Int] = [] }

    static var stateVersion: Int { 2 }

    static func migrate(_ old: OldState, from version: Int) throws -> State {
        let old = try old.decode(FirstAccount.State.self)
        return State(amounts: [old.sum])
    }

    func initialState(for key: Int) -> State { State() }

    func on(_ event: Int, state: inout State, _ context: inout Context<Int, Int>) {
        state.amounts.append(event)
        context.emit(state.amounts.reduce(0, +))
    }
}

/// Has forgotten to migrate.
private struct CarelessAccount: Account {
    struct State: Codable, Sendable { var amounts: [Int] = [] }

    static var stateVersion: Int { 2 }

    func initialState(for key: Int) -> State { State() }
    func on(_ event: Int, state: inout State, _ context: inout Context<Int, Int>) {}
}

@Suite(.everyStateBackend) struct `State of another version` {
    private func run<Handler: Account>(
        _ handler: Handler.Type, _ events: [Int], _ store: StateStore
    ) throws -> [Int] {
        let numbers = SourceProbe<Int>()
        let sums = SinkProbe<Int>()
        var configuration = TopologyTest.configuration
        configuration.store = store
        let test = try TopologyTest(
            Topology("accounts") {
                EventStream("numbers", from: numbers.source).keyed(by: { $0 % 10 })
                    .handle("account") { Handler() }.sink(sums.sink)
            }, configuration: configuration)
        numbers.send(contentsOf: events)
        try test.run()
        try test.perform { [running = test.running] in _ = try await running.suspend() }
        return sums.received
    }

    @Test func `is migrated key by key`() throws {
        let store = continuationStore()
        #expect(try run(FirstAccount.self, [1, 11, 2], store) == [1, 12, 2])
        #expect(try run(SecondAccount.self, [21, 22], store) == [33, 24])
        #expect(try run(SecondAccount.self, [31], store) == [64])
    }

    @Test func `needs no version for what is added as an optional`() throws {
        let store = continuationStore()
        #expect(try run(FirstAccount.self, [1, 2], store) == [1, 2])
        #expect(try run(WiderAccount.self, [11, 12], store) == [12, 14])
    }

    @Test func `is refused when it is newer, or when it can't be migrated`() throws {
        let store = continuationStore()
        _ = try run(FirstAccount.self, [1], store)
        let careless = #expect(throws: StoreError.self) {
            try run(CarelessAccount.self, [11], store)
        }
        #expect(careless?.description.contains("implement CarelessAccount.migrate") == true)
        _ = try run(SecondAccount.self, [11], store)
        let newer = #expect(throws: StoreError.self) { try run(FirstAccount.self, [21], store) }
        #expect(newer?.description.contains("stage 'account'") == true)
        #expect(newer?.description.contains("has version 2 and the code 1") == true)
    }
}
