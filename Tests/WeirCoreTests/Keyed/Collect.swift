import WeirCore

/// Runs a stream to its end and returns all its events.
func collect<Element: Sendable>(
    batchSize: Int = 512, parallelism: Int = 1, clock: (any RuntimeClock)? = nil,
    _ stream: () -> EventStream<Element>
) async throws -> [Element] {
    try await run(batchSize: batchSize, parallelism: parallelism, clock: clock, stream).events
}

/// Runs a stream to its end and returns all its events, and the run for what it counted.
func run<Element: Sendable>(
    batchSize: Int = 512, parallelism: Int = 1, clock: (any RuntimeClock)? = nil,
    _ stream: () -> EventStream<Element>
) async throws -> (events: [Element], running: RunningTopology) {
    let out: Outlet<Element> = "out"
    // Several events may fail at once in these tests.
    let supervisor = Supervisor(.oneForOne, intensity: 100, within: .seconds(5))
    let topology = Topology("test", supervisor: supervisor) { stream().sink(.outlet(out)) }
    var configuration = RunConfiguration(batchSize: batchSize, parallelism: parallelism, seed: 1)
    configuration.metricsInterval = .zero
    if let clock { configuration.clock = clock }
    let running = try await topology.start(configuration)
    var events: [Element] = []
    for try await event in try running.output(out) { events.append(event) }
    try await running.waitUntilFinished()
    return (events, running)
}

/// An event of the tests: a value of a key at a time, or a watermark among the events.
struct Reading: Codable, Sendable, Hashable {
    var key: Int
    var value: Int
    var at: EventTime
    var watermark: EventTime?

    init(_ key: Int, _ value: Int = 0, at seconds: Double) {
        self.key = key
        self.value = value
        at = time(seconds)
    }

    /// Says that event time has come to `seconds`.
    static func watermark(_ seconds: Double) -> Reading {
        var reading = Reading(-1, at: seconds)
        reading.watermark = time(seconds)
        return reading
    }
}

func time(_ seconds: Double) -> EventTime {
    EventTime(nanoseconds: Int64((seconds * 1_000_000_000).rounded()))
}

extension EventStream<Reading> {
    /// Event time exactly as the script says; use a batch size of 1.
    static func script(_ readings: [Reading]) -> EventStream<Reading> {
        EventStream("in", from: .collection(readings))
            .eventTime(\.at, WatermarkStrategy.punctuated { $0.watermark }.neverIdle)
            .filter { $0.watermark == nil }
    }
}
