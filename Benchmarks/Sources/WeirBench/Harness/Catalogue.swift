import CMeasure

/// All benchmarks that this system can run, in the order in which they are listed and run.
enum Catalogue {
    static var benchmarks: [Benchmark] {
        let core: [Benchmark] = [
            .operators, .handOver, .fiveStages, .fiveStagesWithStrings, .latency, .allocations,
            .keyedUpdateRandom, .keyedUpdateHot,
        ]
        let network: [Benchmark] = [
            .tcpIngest, .webSocketIngest, .webSocketEcho, .httpIngest, .idleConnections,
        ]
        let json: [Benchmark] = [.flatJSON, .nestedJSON]
        let binary: [Benchmark] = [
            .binaryFlatDecoding, .binaryFlatEncoding, .binaryNestedDecoding,
            .binaryNestedEncoding, .binaryStateDecoding, .binaryStateEncoding,
        ]
        return (core + network + json + binary + Benchmark.eachOperator).filter {
            switch $0.metric {
            case .allocations: cmeasure_counts_allocations()
            case .memory: ProcessMemory.current() != nil
            default: true
            }
        }
    }

    /// The benchmarks of a group whose names were given, or all of them.
    static func select(_ group: Benchmark.Group, _ ids: [String]) throws -> [Benchmark] {
        let all = benchmarks.filter { $0.group == group }
        guard !ids.isEmpty else { return all }
        return try ids.flatMap { id in
            let exact = all.filter { $0.id.lowercased() == id.lowercased() }
            let found =
                exact.isEmpty
                ? all.filter { $0.id.lowercased().hasPrefix(id.lowercased()) } : exact
            guard !found.isEmpty else {
                let known = all.map(\.id).joined(separator: ", ")
                throw MeasurementError(
                    description: "no \(group.rawValue) benchmark \(id); there are \(known)")
            }
            return found
        }
    }
}
