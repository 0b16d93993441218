import Metrics

/// The metrics of a source's ingest journal.
struct IngestMetrics: Sendable {
    let records: Counter
    let bytes: Counter
    let commits: Recorder
    let pending: Meter
    let blocked: Meter

    init(stage: String) {
        let dimensions = [("stage", stage)]
        records = Counter(label: "weir_ingest_records_total", dimensions: dimensions)
        bytes = Counter(label: "weir_ingest_bytes_total", dimensions: dimensions)
        commits = Recorder(label: "weir_ingest_commit_seconds", dimensions: dimensions)
        pending = Meter(label: "weir_ingest_pending_bytes", dimensions: dimensions)
        blocked = Meter(label: "weir_ingest_blocked", dimensions: dimensions)
    }
}
