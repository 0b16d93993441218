/// An event that waits, with its event time.
struct TimedEvent<Element> {
    var event: Element
    var time: EventTime
}

extension TimedEvent: Sendable where Element: Sendable {}
extension TimedEvent: Codable where Element: Codable {}
