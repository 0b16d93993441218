import Foundation
import Synchronization
import Weir

/// Tells a loop, from a thread of its own, how many messages are due by now.
///
/// The thread never waits for the loop: while the loop is busy only the newest number is kept.
final class Pacer: Sendable {
    private let due = Atomic<Int>(0)
    private let isPosted = Atomic<Bool>(false)
    private let isStopped = Atomic<Bool>(false)

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - start: The monotonic time at which the schedule begins.
    ///   - onDue: Gets the number of messages due so far, on the loop's thread.
    func run(
        _ schedule: Schedule, from start: UInt64, on loop: Loop,
        onDue: @escaping @Sendable (Int) -> Void
    ) {
        let thread = Thread { [self] in
            var count = 0
            while count < schedule.count {
                let isOn = MonotonicTime.wait(until: start + schedule.offset(of: count)) {
                    isStopped.load(ordering: .relaxed)
                }
                guard isOn else { return }
                let elapsed = MonotonicTime.now - start
                repeat {
                    count += 1
                } while count < schedule.count
                    && schedule.offset(of: count) <= elapsed
                post(count, on: loop, onDue)
            }
        }
        thread.name = "weir-load-pacer"
        thread.start()
    }

    /// Ends the thread soon.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func post(_ count: Int, on loop: Loop, _ onDue: @escaping @Sendable (Int) -> Void) {
        due.store(count, ordering: .sequentiallyConsistent)
        if isPosted.exchange(true, ordering: .sequentiallyConsistent) { return }
        loop.execute { [self] in
            isPosted.store(false, ordering: .sequentiallyConsistent)
            onDue(due.load(ordering: .sequentiallyConsistent))
        }
    }
}
