package import Logging
import Metrics
import Synchronization

/// The keys of a source's requests, safe to use from any thread.
package final class RequestKeys: Sendable {
    private let table: Mutex<RequestKeyTable>
    private let logger: Logger
    private let stage: String
    private let repeated: Counter
    private let forgotten: Counter

    package init(stage: String, limits: IngestLimits, logger: Logger) {
        table = Mutex(
            RequestKeyTable(limit: limits.requestKeys, lifetime: limits.requestKeyLifetime))
        self.stage = stage
        self.logger = logger
        let dimensions = [("stage", stage)]
        repeated = Counter(label: "weir_ingest_repeated_requests_total", dimensions: dimensions)
        forgotten = Counter(
            label: "weir_ingest_request_keys_forgotten_total", dimensions: dimensions)
    }

    /// Claims a key for a request with a content of that fingerprint.
    package func claim(
        _ key: RequestKey, _ fingerprint: UInt64, at now: EventTime
    ) -> RequestVerdict {
        let verdict = change { $0.claim(key, fingerprint, at: now) }
        if case .taken = verdict { repeated.increment() }
        return verdict
    }

    /// The events of a request are safe.
    package func settle(_ key: RequestKey, _ count: Int, at position: UInt64 = 0) {
        change { $0.settle(key, count, recordedAt: position) }
    }

    /// The request was refused: its key is free again.
    package func abandon(_ key: RequestKey) { change { $0.abandon(key) } }

    /// How many keys are remembered.
    package var count: Int { table.withLock { $0.count } }

    func change<Value: Sendable, Failure: Error>(
        _ body: (inout RequestKeyTable) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let (value, lost) = try table.withLock { (table) throws(Failure) in
            let before = table.forgotten
            let value = try body(&table)
            return (value, table.forgotten - before)
        }
        if lost > 0 {
            forgotten.increment(by: lost)
            logger.debug(
                "keys of requests are forgotten before their time, to make room for others",
                metadata: ["stage": "\(stage)", "keys": "\(lost)"])
        }
        return value
    }
}
