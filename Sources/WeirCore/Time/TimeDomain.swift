/// The two kinds of time that a timer or a window can follow.
public enum TimeDomain: Sendable, Hashable, Codable {
    /// What the events say; it advances with the watermark.
    case eventTime
    /// What the clock says; it advances by itself.
    case processingTime
}
