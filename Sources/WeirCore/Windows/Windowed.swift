/// The result of one window of one key.
///
/// As an event it has the time of the last nanosecond of its window.
public struct Windowed<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// The key.
    public let key: Key
    /// The window: its first instant and the one behind its last.
    ///
    /// A count window spans the times of
    /// its events.
    public let window: Range<EventTime>
    /// The result of the window's events.
    public let value: Value

    /// Creates a result.
    @inlinable
    public init(key: Key, window: Range<EventTime>, value: Value) {
        self.key = key
        self.window = window
        self.value = value
    }
}

extension Windowed: Equatable where Value: Equatable {}
extension Windowed: Hashable where Value: Hashable {}
extension Windowed: Encodable where Key: Encodable, Value: Encodable {}
extension Windowed: Decodable where Key: Decodable, Value: Decodable {}
