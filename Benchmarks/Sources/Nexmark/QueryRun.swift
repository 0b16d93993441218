package import Weir

/// A query of Nexmark as a topology, with what becomes of its results.
package struct QueryRun: Sendable {
    /// The names of all queries.
    package static let names = (0...22).map { "q\($0)" }

    /// The topology.
    package let topology: Topology
    /// What has come out of it.
    package let results: QueryResults

    /// Makes the topology of a query.
    ///
    /// - Parameters:
    ///   - name: `q0` to `q22`.
    ///   - source: The events.
    ///   - keepsRows: Whether the results are kept, for a file; else they are counted.
    ///   - files: Where q10 writes its files; nil for nowhere.
    /// - Returns: Nil if there is no such query.
    package init?(
        _ name: String, from source: Source<NexmarkEvent>, keepsRows: Bool = false,
        files: String? = nil
    ) {
        let results = QueryResults(keepsRows: keepsRows)
        let events = EventStream("events", from: source)
        let pipelines: [Pipeline]
        switch name {
        case "q0": pipelines = [results.take(NexmarkQueries.q0(events))]
        case "q1": pipelines = [results.take(NexmarkQueries.q1(events))]
        case "q2": pipelines = [results.take(NexmarkQueries.q2(events))]
        case "q3": pipelines = [results.take(NexmarkQueries.q3(events))]
        case "q4": pipelines = [results.take(NexmarkQueries.q4(events))]
        case "q5": pipelines = [results.take(NexmarkQueries.q5(events))]
        case "q6": pipelines = [results.take(NexmarkQueries.q6(events))]
        case "q7": pipelines = [results.take(NexmarkQueries.q7(events))]
        case "q8": pipelines = [results.take(NexmarkQueries.q8(events))]
        case "q9": pipelines = [results.take(NexmarkQueries.q9(events))]
        case "q10":
            let bids = NexmarkQueries.q10(events)
            let written = files.map { bids.sink(.minuteFiles(in: $0)) }
            pipelines = [results.take(bids)] + (written.map { [$0] } ?? [])
        case "q11": pipelines = [results.take(NexmarkQueries.q11(events))]
        case "q12": pipelines = [results.take(NexmarkQueries.q12(events))]
        case "q13": pipelines = [results.take(NexmarkQueries.q13(events))]
        case "q14": pipelines = [results.take(NexmarkQueries.q14(events))]
        case "q15": pipelines = [results.take(NexmarkQueries.q15(events))]
        case "q16": pipelines = [results.take(NexmarkQueries.q16(events))]
        case "q17": pipelines = [results.take(NexmarkQueries.q17(events))]
        case "q18": pipelines = [results.take(NexmarkQueries.q18(events))]
        case "q19": pipelines = [results.take(NexmarkQueries.q19(events))]
        case "q20": pipelines = [results.take(NexmarkQueries.q20(events))]
        case "q21": pipelines = [results.take(NexmarkQueries.q21(events))]
        case "q22": pipelines = [results.take(NexmarkQueries.q22(events))]
        default: return nil
        }
        self.results = results
        topology = Topology("nexmark-\(name)") { pipelines }
    }
}
