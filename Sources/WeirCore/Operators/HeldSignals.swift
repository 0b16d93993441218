/// The signals that have to wait while an operator holds events back: event time must not pass what is still to come.
@usableFromInline
package struct HeldSignals: Sendable, Equatable, Codable {
    private var watermark: EventTime?
    /// Whether the end of all time has come, behind the watermark.
    private var isOver = false
    private var isIdle = false

    @usableFromInline
    package init() {}

    /// Keeps a watermark or idleness, the newest of each kind.
    @usableFromInline
    package mutating func hold(_ signal: Signal) {
        switch signal {
        case .watermark(let time):
            if time == .max { isOver = true } else { watermark = time }
            isIdle = false
        case .idle: isIdle = true
        case .end: break
        }
    }

    /// An event has come: the input is not idle any more.
    @usableFromInline
    package mutating func receivedEvent() {
        isIdle = false
    }

    /// Hands over what is kept, in order.
    @usableFromInline
    package mutating func release() -> [Signal] {
        var signals: [Signal] = []
        if let watermark { signals.append(.watermark(watermark)) }
        if isOver { signals.append(.watermark(.max)) }
        if isIdle { signals.append(.idle) }
        self = HeldSignals()
        return signals
    }
}
