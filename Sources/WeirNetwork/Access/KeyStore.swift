import Logging
import Synchronization

/// The keys of a list, or of a file that is looked at again and again.
final class KeyStore: Sendable {
    /// A key that counts until it is taken away.
    final class Known: Sendable {
        let entry: APIKeys.Entry
        private let isRevoked = Atomic(false)

        init(_ entry: APIKeys.Entry) { self.entry = entry }

        var counts: Bool { !isRevoked.load(ordering: .relaxed) }

        func revoke() { isRevoked.store(true, ordering: .relaxed) }
    }

    /// All keys there are at one time.
    struct Table: Sendable {
        let plain: [[UInt8]: Known]
        let salted: [Known]

        init(_ entries: [APIKeys.Entry], keeping old: Table? = nil) throws(NetworkError) {
            let saltedCount = entries.count { !$0.salt.isEmpty }
            guard saltedCount <= APIKeys.saltedMax else {
                throw NetworkError(
                    .invalidArgument,
                    "\(saltedCount) salted keys are more than \(APIKeys.saltedMax); leave the salt"
                        + " out")
            }
            let before = Dictionary(
                old?.all.map { ($0.entry, $0) } ?? [], uniquingKeysWith: { $1 })
            let known = entries.map { before[$0] ?? Known($0) }
            plain = Dictionary(
                known.filter(\.entry.salt.isEmpty).map { ($0.entry.digest, $0) },
                uniquingKeysWith: { $1 })
            salted = known.filter { !$0.entry.salt.isEmpty }
        }

        var all: [Known] { plain.values + salted }
    }

    private struct State {
        var table: Table
        /// The file as it was when the table was read.
        var stamp: [Int]
        var lookedAt: ContinuousClock.Instant
    }

    /// A file of keys and how often it is looked at; never when that is nil.
    struct File: Sendable {
        let path: String
        let interval: Duration?
        let logger: Logger
    }

    private let file: File?
    private let state: Mutex<State>
    private let warning = ReloadWarning()

    /// Keeps keys that stay as they are.
    init(_ entries: [APIKeys.Entry]) throws(NetworkError) {
        file = nil
        state = Mutex(State(table: try Table(entries), stamp: [], lookedAt: .now))
    }

    /// Reads the keys of a file.
    init(_ file: File) throws(NetworkError) {
        self.file = file
        // Before it is read: what changes meanwhile is seen as a change.
        let stamp = FileStamp.of(file.path)
        let table = try Table(APIKeys.entries(inFile: file.path))
        state = Mutex(State(table: table, stamp: stamp, lookedAt: .now))
    }

    /// Whether keys can be taken away.
    var mayChange: Bool { file != nil }

    /// The keys that count now; looks at the file when that is due.
    var current: Table {
        lookWhenDue()
        return state.withLock { $0.table }
    }

    /// Whether a key still counts; looks at the file when that is due.
    func counts(_ known: Known) -> Bool {
        lookWhenDue()
        return known.counts
    }

    /// Reads the file again; from any thread.
    func reload() throws(NetworkError) {
        guard let file else { return }
        let stamp = FileStamp.of(file.path)
        let entries = try APIKeys.entries(inFile: file.path)
        let revoked = try state.withLock { state throws(NetworkError) -> Int in
            let fresh = try Table(entries, keeping: state.table)
            let kept = Set(fresh.all.map { ObjectIdentifier($0) })
            let gone = state.table.all.filter { !kept.contains(ObjectIdentifier($0)) }
            for known in gone { known.revoke() }
            state.table = fresh
            state.stamp = stamp
            state.lookedAt = .now
            return gone.count
        }
        warning.takeBack()
        file.logger.info(
            "API keys were read again",
            metadata: ["keys": "\(entries.count)", "revoked": "\(revoked)"])
    }

    private func lookWhenDue() {
        guard let file, let interval = file.interval else { return }
        let now = ContinuousClock.now
        let stamp = state.withLock { state -> [Int]? in
            guard now - state.lookedAt >= interval else { return nil }
            state.lookedAt = now
            return state.stamp
        }
        guard let stamp, stamp != FileStamp.of(file.path) else { return }
        do {
            try reload()
        } catch {
            warning.give(error, about: "the API keys", to: file.logger)
        }
    }
}

/// Whether what somebody has shown still counts after it was accepted.
///
/// All of them are equal: it is no part of who somebody is.
struct CredentialStanding: Sendable, Hashable {
    /// Nil where nothing can be taken away.
    var counts: (@Sendable () -> Bool)?

    static func == (left: Self, right: Self) -> Bool { true }

    func hash(into hasher: inout Hasher) {}
}
