import Synchronization

/// Something that tasks wait for; cancellation lets them through as well.
final class Gate: Sendable {
    private struct Locked: Sendable {
        var isOpen: Bool
        var waiting: [(id: UInt64, continuation: UnsafeContinuation<Void, Never>)] = []
        var nextID: UInt64 = 0
    }

    private let locked: Mutex<Locked>

    init(isOpen: Bool) {
        locked = Mutex(Locked(isOpen: isOpen))
    }

    var isOpen: Bool { locked.withLock { $0.isOpen } }

    func open() {
        let waiting = locked.withLock { locked in
            locked.isOpen = true
            defer { locked.waiting.removeAll() }
            return locked.waiting
        }
        for waiter in waiting { waiter.continuation.resume() }
    }

    func close() {
        locked.withLock { $0.isOpen = false }
    }

    func pass() async throws {
        let id = locked.withLock { locked in
            locked.nextID += 1
            return locked.nextID
        }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let isFree = locked.withLock { locked in
                    if locked.isOpen || Task.isCancelled { return true }
                    locked.waiting.append((id, continuation))
                    return false
                }
                if isFree { continuation.resume() }
            }
        } onCancel: {
            let waiter = locked.withLock { locked in
                locked.waiting.firstIndex { $0.id == id }.map { locked.waiting.remove(at: $0) }
            }
            waiter?.continuation.resume()
        }
        try Task.checkCancellation()
    }
}
