import Logging
import WeirCore

extension RunConfiguration {
    /// Without a log and without metrics.
    static func quiet(batchSize: Int = 64, store: StateStore? = nil) -> RunConfiguration {
        var configuration = RunConfiguration(
            batchSize: batchSize, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        configuration.metricsInterval = .zero
        configuration.store = store
        return configuration
    }
}

struct Reading: Codable, Sendable, Equatable {
    var id: Int
    var value = 1.5
}
