/// The time by which something has to have happened on a connection; used on its loop only.
///
/// The loop's timer is touched only when a deadline comes nearer: moving it away, which every
/// request does, is one assignment.
final class HTTPDeadline {
    private let loop: Loop
    let timer: LoopTimer
    @exclusivity(unchecked) private var deadline: UInt64 = .max
    @exclusivity(unchecked) private var armedFor: UInt64 = .max
    @exclusivity(unchecked) private var begun: UInt64 = 0
    @exclusivity(unchecked) private var limit: UInt64 = 0
    @exclusivity(unchecked) private var progress = -1
    /// Bytes received since ``begin(_:)``.
    @exclusivity(unchecked) var received = 0
    var onFire: () -> Void = {}

    init(_ loop: Loop) throws(NetworkError) {
        self.loop = loop
        timer = try LoopTimer(on: loop) {}
        timer.onFire = { [unowned(unsafe) self] in fired() }
    }

    /// Moves the deadline to so many milliseconds from now.
    func set(after milliseconds: UInt64) {
        deadline = loop.now &+ milliseconds
        if deadline < armedFor { arm() }
    }

    /// Begins a time that is longer for more bytes.
    func begin(_ milliseconds: UInt64) {
        begun = loop.now
        limit = milliseconds
        received = 0
        set(after: milliseconds)
    }

    /// Leaves out time during which the peer was not the one to wait for.
    func skip(_ milliseconds: UInt64) { begun &+= milliseconds }

    /// Whether the bytes received since ``begin(_:)`` earn more time.
    func extend(minimumRate: Int) -> Bool {
        let earned = minimumRate > 0 ? UInt64(received) * 1_000 / UInt64(minimumRate) : 0
        let end = minimumRate > 0 ? begun &+ limit &+ earned : .max
        guard end > loop.now else { return false }
        set(after: min(end - loop.now, limit))
        return true
    }

    /// Whether a count has grown since the last call, and by enough.
    func hasProgress(_ count: Int, atLeast least: Int = 1) -> Bool {
        defer { progress = count }
        return progress >= 0 && count - progress >= max(1, least)
    }

    func stop() { deadline = .max }

    /// Lets go of the timer for good.
    func close() {
        stop()
        onFire = {}
        timer.close()
    }

    /// Gives the timer to somebody else.
    func handOver() -> LoopTimer {
        stop()
        onFire = {}
        timer.onFire = {}
        timer.stop()
        return timer
    }

    private func arm() {
        armedFor = deadline
        timer.start(after: .milliseconds(deadline &- loop.now))
    }

    private func fired() {
        armedFor = .max
        if deadline == .max { return }
        if deadline > loop.now {
            arm()
            return
        }
        deadline = .max
        onFire()
    }
}
