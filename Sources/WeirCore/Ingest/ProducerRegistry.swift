package import Logging

/// The producers of a source, safe to use from any thread.
package final class ProducerRegistry: Sendable {
    let table: SharedTable<ProducerTable>
    private let duplicates: RunCounter

    /// - Parameter limit: How many producers are remembered.
    package init(
        stage: String, limit: Int = 100_000, logger: Logger, instruments: RunInstruments
    ) {
        let labels = [("stage", stage)]
        duplicates = instruments.counter(
            "weir_ingest_duplicates_total", "Messages that were there already.", labels)
        table = SharedTable(
            ProducerTable(limit: limit),
            forgotten: instruments.counter(
                "weir_ingest_producers_forgotten_total",
                "Producers forgotten to make room for others.", labels)
        ) { count in
            logger.notice(
                "idle producers are forgotten: what they send again can't be told from new messages",
                metadata: ["stage": "\(stage)", "producers": "\(count)"])
        }
    }

    /// Begins a connection of a producer, and has an older one closed.
    ///
    /// Returns nil when as many producers are connected as may be.
    package func open(_ name: String, _ session: ProducerSession) -> ProducerOpening? {
        let opening = table.change { $0.open(name, session) }
        opening?.replaced?.replace(session.origin)
        return opening
    }

    /// Ends a connection of a producer.
    package func close(_ name: String, _ session: ProducerSession) {
        table.change { $0.close(name, session) }
    }

    /// Takes note that messages were taken; false when the connection isn't the newest any more.
    package func accept(
        _ name: String, upTo sequence: UInt64, _ session: ProducerSession
    ) -> Bool {
        table.change { $0.accept(name, upTo: sequence, session) }
    }

    /// Takes note that messages are safe, and tells the producers' connections.
    package func acknowledge(_ safe: [(name: String, sequence: UInt64)], at position: UInt64 = 0) {
        let told = table.change { table in
            safe.map {
                table.acknowledge($0.name, upTo: $0.sequence, recordedAt: position)
            }
        }
        for (session, (_, sequence)) in zip(told, safe) { session?.acknowledge(sequence) }
    }

    /// Counts messages that were there already.
    package func countDuplicates(_ count: Int) {
        if count > 0 { duplicates.increment(by: count) }
    }

    /// How many producers are known.
    package var count: Int { table.read { $0.count } }
}
