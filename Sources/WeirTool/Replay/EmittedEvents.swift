import Foundation

/// The events that sinks got in one run, to be held against those of another; their order doesn't
/// count, how often each comes does.
struct EmittedEvents {
    private(set) var count = 0
    private var occurrences: [String: Int] = [:]
    /// Canonical texts in the order of their first appearance.
    private var order: [String] = []

    /// Takes a line with one event, or with the sink's name as `weir replay` prints it.
    ///
    /// - Parameter sink: The sink whose events count; nil for all.
    /// - Throws: ``ToolFailure`` for a line that is no JSON.
    mutating func add(_ line: String, sink: String?, where place: String) throws {
        let object: Any
        do {
            object = try JSONSerialization.jsonObject(
                with: Data(line.utf8), options: .fragmentsAllowed)
        } catch {
            throw ToolFailure(status: 65, "\(place) is no JSON: \(line.prefix(200))")
        }
        var event = object
        if let members = object as? [String: Any], members.count == 2,
            let name = members["sink"] as? String, let inner = members["event"]
        {
            if let sink, sink != name { return }
            event = inner
        }
        let canonical = try Self.canonical(event)
        count += 1
        if occurrences[canonical] == nil { order.append(canonical) }
        occurrences[canonical, default: 0] += 1
    }

    /// The lines of which this run has more than the other, as often as it has more.
    func lines(beyond other: EmittedEvents) -> [String] {
        order.flatMap { canonical in
            let extra =
                occurrences[canonical, default: 0] - other.occurrences[canonical, default: 0]
            return Array(repeating: canonical, count: max(0, extra))
        }
    }

    /// The same text for equal values, whatever the order of the members.
    private static func canonical(_ value: Any) throws -> String {
        let data = try JSONSerialization.data(
            withJSONObject: value,
            options: [.sortedKeys, .fragmentsAllowed, .withoutEscapingSlashes])
        return String(decoding: data, as: UTF8.self)
    }
}
