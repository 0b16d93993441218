package import Logging

/// The keys of a source's requests, safe to use from any thread.
package final class RequestKeys: Sendable {
    let table: SharedTable<RequestKeyTable>
    private let repeated: RunCounter

    package init(
        stage: String, limits: IngestLimits, logger: Logger, instruments: RunInstruments
    ) {
        let labels = [("stage", stage)]
        repeated = instruments.counter(
            "weir_ingest_repeated_requests_total", "Requests whose key was known.", labels)
        table = SharedTable(
            RequestKeyTable(limit: limits.requestKeys, lifetime: limits.requestKeyLifetime),
            forgotten: instruments.counter(
                "weir_ingest_request_keys_forgotten_total", "Keys forgotten before their time.",
                labels)
        ) { count in
            logger.debug(
                "keys of requests are forgotten before their time, to make room for others",
                metadata: ["stage": "\(stage)", "keys": "\(count)"])
        }
    }

    /// Claims a key for a request with a content of that fingerprint.
    package func claim(
        _ key: RequestKey, _ fingerprint: UInt64, at now: EventTime
    ) -> RequestVerdict {
        let verdict = table.change { $0.claim(key, fingerprint, at: now) }
        if case .taken = verdict { repeated.increment() }
        return verdict
    }

    /// The events of a request are safe.
    package func settle(_ key: RequestKey, _ count: Int, at position: UInt64 = 0) {
        table.change { $0.settle(key, count, recordedAt: position) }
    }

    /// The request was refused: its key is free again.
    package func abandon(_ key: RequestKey) { table.change { $0.abandon(key) } }

    /// How many keys are remembered.
    package var count: Int { table.read { $0.count } }
}
