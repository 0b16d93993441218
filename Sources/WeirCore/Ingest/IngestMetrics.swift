/// The metrics of a source's ingest journal.
struct IngestMetrics: Sendable {
    let records: RunCounter
    let bytes: RunCounter
    let commits: RunHistogram
    let pending: RunGauge
    let blocked: RunGauge

    init(stage: String, _ instruments: RunInstruments) {
        let labels = [("stage", stage)]
        records = instruments.counter(
            "weir_ingest_records_total", "Records that the ingest journal has made durable.", labels
        )
        bytes = instruments.counter("weir_ingest_bytes_total", "The bytes of those.", labels)
        commits = instruments.histogram(
            "weir_ingest_commit_seconds", "Time of a group commit.", labels)
        pending = instruments.gauge(
            "weir_ingest_pending_bytes", "What waits to be durable or to be handed on.", labels)
        blocked = instruments.gauge(
            "weir_ingest_blocked", "1 while the disk refuses.", labels)
    }
}
