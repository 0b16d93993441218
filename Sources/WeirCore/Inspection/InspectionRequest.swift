import Synchronization
import WeirJSON

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#endif

/// What `weir check` and `weir replay` ask of a service's own binary, by an environment variable: to
/// answer instead of running its topology.
///
/// The answer is a line with the marker and one of JSON on standard output; then the process exits.
package enum InspectionRequest: Sendable {
    case check(CheckRequest)
    case replay(ReplayRequest)
    /// The variable is set to something else.
    case malformed(variable: String)

    package static let checkVariable = "WEIR_CHECK"
    package static let replayVariable = "WEIR_REPLAY"
    package static let checkMarker = "#weir-check"
    package static let replayMarker = "#weir-replay"

    /// What the environment of this process asks for; read once.
    static let ofThisProcess: InspectionRequest? = {
        if let text = variable(checkVariable) { return .check(CheckRequest(text)) }
        guard let text = variable(replayVariable) else { return nil }
        do {
            return .replay(
                try JSONEventDecoder().decode(ReplayRequest.self, from: Array(text.utf8)))
        } catch {
            return .malformed(variable: replayVariable)
        }
    }()

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }
}

/// The store and checkpoint of a check: `PATH`, `PATH#savepoint:NAME` or `PATH#checkpoint:N`.
package struct CheckRequest: Sendable, Equatable {
    package var store: String
    package var checkpoint: Int?
    package var savepoint: String?

    package init(store: String, checkpoint: Int? = nil, savepoint: String? = nil) {
        self.store = store
        self.checkpoint = checkpoint
        self.savepoint = savepoint
    }

    package init(_ text: String) {
        store = text
        if let range = text.ranges(of: "#savepoint:").last {
            store = String(text[..<range.lowerBound])
            savepoint = String(text[range.upperBound...])
        } else if let range = text.ranges(of: "#checkpoint:").last,
            let number = Int(text[range.upperBound...])
        {
            store = String(text[..<range.lowerBound])
            checkpoint = number
        }
    }

    package var text: String {
        if let savepoint { return "\(store)#savepoint:\(savepoint)" }
        if let checkpoint { return "\(store)#checkpoint:\(checkpoint)" }
        return store
    }

    var start: StateStore.Start {
        if let savepoint { return .savepoint(savepoint) }
        return checkpoint.map { .checkpoint($0) } ?? .latest
    }
}

/// The options of a replay as they go from process to process.
package struct ReplayRequest: Sendable, Codable, Equatable {
    package var store: String
    package var source: String?
    package var fromRecord: Int?
    package var fromTime: EventTime?
    package var toRecord: Int?
    package var toTime: EventTime?
    package var toEvent: Int?
    package var isEmpty: Bool?
    package var checkpoint: Int?
    package var savepoint: String?
    package var speed: Double?
    package var endsStreams: Bool?
    package var steps: Bool?
    package var key: String?

    package init(store: String) {
        self.store = store
    }

    var options: ReplayOptions {
        var options = ReplayOptions()
        options.source = source
        options.from = fromRecord.map { .record($0) } ?? fromTime.map { .time($0) }
        options.to =
            toRecord.map { .record($0) } ?? toTime.map { .time($0) } ?? toEvent.map { .event($0) }
        if isEmpty == true { options.start = .empty }
        if let checkpoint { options.start = .checkpoint(checkpoint) }
        if let savepoint { options.start = .savepoint(savepoint) }
        options.speed = speed
        options.endsStreams = endsStreams ?? false
        options.steps = steps ?? false
        options.key = key
        return options
    }
}

/// What the process says when it can't do what it is asked for.
package struct InspectionFailure: Sendable, Codable {
    package var failure: String
    /// Whether the store or what is asked of it is missing.
    package var isMissing: Bool
}
