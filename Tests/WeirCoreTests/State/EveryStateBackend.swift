import Testing
import WeirCore
import WeirRocksDB

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Runs each test of a suite once with each state backend; all but the first have room for so few
/// entries in memory that most are cold.
struct EveryStateBackend: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    /// Test cases all begin at once, and each has a database of RocksDB open while it lasts: hundreds.
    private static let turns = Turns(count: 4)

    @concurrent
    func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        try await Self.turns.withTurn {
            for backend in StateBackend.all {
                try await StateBackend.$standard.withValue(backend) { try await function() }
            }
        }
    }
}

/// Lets a number of calls run at once and the others wait for their turn.
private actor Turns {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(count: Int) {
        free = count
    }

    func withTurn(_ body: @Sendable @concurrent () async throws -> Void) async rethrows {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
        defer {
            if waiting.isEmpty {
                free += 1
            } else {
                waiting.removeFirst().resume()
            }
        }
        try await body()
    }
}

extension SuiteTrait where Self == EveryStateBackend {
    static var everyStateBackend: Self { EveryStateBackend() }
}

/// The kinds of engines that there are for cold entries.
enum EngineKind: CaseIterable, Sendable, CustomTestStringConvertible {
    case memory
    #if RocksDB
        case rocksDB
    #endif

    func open() throws -> any ColdEngine {
        switch self {
        case .memory: MemoryEngine()
        #if RocksDB
            case .rocksDB: try RocksEngine(directory: Self.directory, RocksDBOptions())
        #endif
        }
    }

    /// A directory for all tests of this process.
    static let directory = "/tmp/weir-rocks-tests-\(getpid())"

    var testDescription: String { "\(self)" }
}

extension StateBackend {
    static var all: [StateBackend] {
        [.memory]
            + EngineKind.allCases.map { kind in
                var backend = StateBackend(cache: StateCache(entries: 3)) { try kind.open() }
                backend.keepsUncodable = true
                return backend
            }
    }
}
