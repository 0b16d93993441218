import Synchronization
import WeirCore

/// What is outside of the simulated machine and survives its crashes: the receivers of its sinks,
/// and what its inputs are.
final class SimulatedOutside: Sendable {
    struct Input: Sendable {
        var kept: [Int]
        var count: Int
        var describe: @Sendable (Int) -> String
    }

    private struct State: Sendable {
        var receivers: [String: any AnyReceiver] = [:]
        var inputs: [String: Input] = [:]
        var files: [String] = []
    }

    /// What is received at one name, whatever its type.
    protocol AnyReceiver: Sendable {
        var count: Int { get }
        /// In what way this is not what was to be received; nil if it is.
        func difference(from reference: any AnyReceiver) -> String?
    }

    private let state = Mutex(State())

    var receivers: [(name: String, receiver: any AnyReceiver)] {
        state.withLock { $0.receivers }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    var inputs: [(name: String, input: Input)] {
        state.withLock { $0.inputs }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// The names of files that sinks write.
    var files: [String] { state.withLock { $0.files } }

    func receiver<Element>(
        _ name: String, make: () -> SimulatedReceiver<Element>
    ) -> SimulatedReceiver<Element>? {
        state.withLock { state in
            if let known = state.receivers[name] { return known as? SimulatedReceiver<Element> }
            let made = make()
            state.receivers[name] = made
            return made
        }
    }

    func add(_ input: Input, named name: String) {
        state.withLock { $0.inputs[name] = input }
    }

    func add(file: String) {
        state.withLock { if !$0.files.contains(file) { $0.files.append(file) } }
    }
}

/// What the receiver behind one sink has got, over all lives of the process.
final class SimulatedReceiver<Element: Sendable>: SimulatedOutside.AnyReceiver {
    private struct Transaction: Sendable {
        let id: UInt64
        let checkpoint: Int
        let events: [Element]
    }

    private struct State: Sendable {
        var events: [Element] = []
        var staged: [Element] = []
        var prepared: [Transaction] = []
        var life = -1
        var nextID: UInt64 = 1
    }

    private let order: SimulatedOrder<Element>
    private let guarantee: SimulatedGuarantee
    private let isEqual: @Sendable (Element, Element) -> Bool
    private let state = Mutex(State())

    init(
        order: SimulatedOrder<Element>, guarantee: SimulatedGuarantee,
        isEqual: @escaping @Sendable (Element, Element) -> Bool
    ) {
        self.order = order
        self.guarantee = guarantee
        self.isEqual = isEqual
    }

    /// What is final, in the order in which it became so.
    var events: [Element] { state.withLock { $0.events } }

    var count: Int { state.withLock { $0.events.count } }

    func receive(_ events: some Sequence<Element>) {
        state.withLock { $0.events.append(contentsOf: events) }
    }

    // MARK: Transactions

    /// A writer of a life begins; the first one of a life gives up what no checkpoint knows.
    func begin(life: Int, restored: [UInt8]?) {
        let known = restored.map(Self.numbers) ?? []
        state.withLock { state in
            guard state.life != life else { return }
            state.life = life
            state.staged = []
            state.prepared.removeAll { !known.contains($0.id) }
        }
    }

    func stage(_ events: some Sequence<Element>) {
        state.withLock { $0.staged.append(contentsOf: events) }
    }

    func prepare(checkpoint: Int) -> [UInt8] {
        state.withLock { state in
            if !state.staged.isEmpty {
                state.prepared.append(
                    Transaction(id: state.nextID, checkpoint: checkpoint, events: state.staged))
                state.nextID += 1
                state.staged = []
            }
            return state.prepared.flatMap { transaction in
                (0..<8).map { UInt8(truncatingIfNeeded: transaction.id >> (8 * UInt64($0))) }
            }
        }
    }

    func commit(checkpoint: Int) {
        state.withLock { state in
            for transaction in state.prepared where transaction.checkpoint <= checkpoint {
                state.events.append(contentsOf: transaction.events)
            }
            state.prepared.removeAll { $0.checkpoint <= checkpoint }
        }
    }

    private static func numbers(_ bytes: [UInt8]) -> [UInt64] {
        stride(from: 0, to: bytes.count / 8 * 8, by: 8).map { start in
            (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[start + $1]) << (8 * UInt64($1)) }
        }
    }

    // MARK: Comparing

    func difference(from reference: any SimulatedOutside.AnyReceiver) -> String? {
        guard let reference = reference as? SimulatedReceiver<Element> else {
            return "it had another type of events before"
        }
        let (actual, expected) = (events, reference.events)
        if actual.elementsEqual(expected, by: isEqual) { return nil }
        if guarantee.allowsRepetition || order.kind == .any {
            return differenceInNumbers(actual, expected)
        }
        guard let key = order.key else { return differenceInOrder(actual, expected) }
        return differenceByKey(actual, expected, key)
    }

    private func differenceByKey(
        _ actual: [Element], _ expected: [Element], _ key: (Element) -> AnyHashable
    ) -> String? {
        let actualGroups = Dictionary(grouping: actual, by: key)
        let expectedGroups = Dictionary(grouping: expected, by: key)
        var seen: Set<AnyHashable> = []
        for event in expected + actual {
            let key = key(event)
            guard seen.insert(key).inserted else { continue }
            let problem = differenceInOrder(
                actualGroups[key] ?? [], expectedGroups[key] ?? [])
            if let problem { return "key \(key): \(problem)" }
        }
        return nil
    }

    private func differenceInOrder(_ actual: [Element], _ expected: [Element]) -> String? {
        if actual.elementsEqual(expected, by: isEqual) { return nil }
        let shared = zip(actual, expected).prefix { isEqual($0, $1) }.count
        let numbers = "it got \(actual.count) events, not \(expected.count)"
        if shared == actual.count {
            return "\(numbers): \(expected[shared]) is lost"
        }
        if shared == expected.count {
            return "\(numbers): \(actual[shared]) is too much"
        }
        return "event \(shared + 1) is \(actual[shared]), not \(expected[shared])"
    }

    private func differenceInNumbers(_ actual: [Element], _ expected: [Element]) -> String? {
        var rest = expected
        for event in actual {
            if let index = rest.firstIndex(where: { isEqual($0, event) }) {
                rest.remove(at: index)
            } else if !guarantee.allowsRepetition
                || !expected.contains(where: { isEqual($0, event) })
            {
                return "it got \(event), which is too much"
            }
        }
        return rest.first.map { "it did not get \($0)" }
    }
}
