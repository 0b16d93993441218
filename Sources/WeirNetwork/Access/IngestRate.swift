/// How much a connection of a source has brought, and when it may go on; on its loop only.
final class IngestRate {
    /// Messages since the last check.
    var count = 0
    private let access: ConnectionAccess
    private let loop: Loop
    private var timer: LoopTimer?
    private var isClosed = false

    enum Verdict { case within, wait, refuse }

    init(_ access: ConnectionAccess, _ loop: Loop) {
        self.access = access
        self.loop = loop
    }

    /// Counts what has come; with `wait` the connection is not to be read until `resume`.
    func check(resume: @escaping () -> Void) -> Verdict {
        access.charge(count, now: loop.now)
        count = 0
        guard !isClosed, let (milliseconds, excess) = access.excess(now: loop.now) else {
            return .within
        }
        access.gate.countRate()
        if excess == .refuse { return .refuse }
        if timer == nil { timer = try? LoopTimer(on: loop, {}) }
        // Without a timer nobody would let it go on.
        guard let timer else { return .within }
        timer.onFire = resume
        timer.start(after: .milliseconds(milliseconds))
        return .wait
    }

    /// Counts what has come, whatever follows from it.
    func settle() {
        access.charge(count, now: loop.now)
        count = 0
    }

    /// Lets go of the timer for good.
    func close() {
        isClosed = true
        timer?.close()
        timer?.onFire = {}
        timer = nil
    }
}
