import CMeasure

/// What one run of one side measured.
struct Sample: Sendable {
    let events: Int
    let wallNanoseconds: Double
    let cpu: CPUTime
    /// Computed by the sink from every event, so that no work can be left out.
    let checksum: UInt64
    var latency: Latency?
    var allocationsPerEvent: Double?
    /// The processor time of the load generator's process, where there is one.
    var generatorCPU: CPUTime?
    /// The memory of a connection, where that is what is measured.
    var memory: ConnectionMemory?

    var wallNanosecondsPerEvent: Double { wallNanoseconds / Double(events) }
    var cpuNanosecondsPerEvent: Double { cpu.nanoseconds / Double(events) }
}

/// Processor time, in nanoseconds.
struct CPUTime: Sendable, Codable {
    var user: Double
    var system: Double

    var nanoseconds: Double { user + system }

    static var process: CPUTime { CPUTime(cmeasure_process_cpu_time()) }

    init(_ time: cmeasure_cpu_time) {
        user = Double(time.user)
        system = Double(time.system)
    }

    static func - (left: CPUTime, right: CPUTime) -> CPUTime {
        var result = left
        result.user -= right.user
        result.system -= right.system
        return result
    }
}

/// Latency in microseconds from the intended time of sending.
struct Latency: Sendable, Codable {
    let p50: Double
    let p99: Double
    let maximum: Double
    /// How late the load itself was, at its 99th percentile: what no side can be blamed for.
    var senderLatenessP99: Double
}

/// What a process holds in memory for each of its connections, in bytes.
struct ConnectionMemory: Sendable, Codable {
    /// Anonymous memory, which is the process's own, and all that is resident.
    struct Bytes: Sendable, Codable {
        var anonymous: Double
        var resident: Double
    }

    /// With the first connections of a new process, over the memory before them.
    var first: Bytes
    /// With as many again after all of the first were closed, over the same.
    var second: Bytes
    /// What is left of it when all are closed, for each connection that was open at a time.
    var closed: Bytes
}

/// Wall and processor time from its creation to `sample`.
struct Stopwatch: Sendable {
    private let wall = cmeasure_now()
    private let cpu = CPUTime.process

    func sample(events: Int, checksum: UInt64) -> Sample {
        let cpu = CPUTime.process - self.cpu
        let wall = cmeasure_now() - self.wall
        return Sample(
            events: events, wallNanoseconds: Double(wall), cpu: cpu, checksum: checksum)
    }
}
