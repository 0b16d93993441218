import Logging
import Synchronization

// Handing over to the next stages and to sinks.
extension StageActor {
    /// - Parameter claiming: Which stage that waits may be left asleep for ``helpNext(_:)``.
    func flush(claiming: Claiming = .none) async throws {
        // Nothing leaves that follows from state which could not be read.
        if let backend = scope.backend {
            do {
                try backend.check()
            } catch {
                throw StageFailure(stage: name, cause: error)
            }
        }
        for port in scope.ports where port.hasReady {
            while let blocked = try await sendReady(port, claiming: claiming) {
                // What is claimed may be what the full mailbox waits for.
                claimed.take()?.mailbox.releaseClaim(waking: true)
                try await wait(with: blocked, of: port)
            }
        }
        if scope.isAbandoned { throw StageStopped() }
    }

    /// Waits until a full mailbox has room.
    func wait(with blocked: BlockedDelivery, of port: OutputPort) async throws {
        holdUps.begin()
        defer { holdUps.end() }
        metrics.beginBlocked(
            on: blocked.mailbox.owner, at: environment.clock.monotonicNanoseconds())
        defer { metrics.endBlocked(at: environment.clock.monotonicNanoseconds()) }
        do {
            try await blocked.mailbox.send(blocked.delivery)
        } catch is MailboxClosed {
            metrics.countDropped(blocked.delivery.weight, reason: .cancelled)
            port.close(target: blocked.target)
        } catch is CancellationError {
            metrics.countDropped(blocked.delivery.weight, reason: .cancelled)
            throw StageStopped()
        }
    }

    func sendReady(_ port: OutputPort, claiming: Claiming) async throws -> BlockedDelivery? {
        while true {
            do {
                return try port.sendReady(claiming: claiming, &claimed)
            } catch let error as MailboxOverflow {
                // What did not fit is still with the port.
                try await restart(after: error)
            }
        }
    }

    /// Drops what has not left yet and tells those behind that no more will come.
    func abandonOutput() async throws {
        for writer in scope.writers {
            metrics.countDropped(writer.abandonPending().count, reason: .cancelled)
        }
        for port in scope.ports {
            metrics.countDropped(port.abandon(), reason: .cancelled)
            // Signals need no room.
            _ = try port.sendReady()
        }
    }

    func retrying(_ action: () async throws -> Void) async throws {
        while true {
            do {
                return try await action()
            } catch is CancellationError {
                throw StageStopped()
            } catch {
                try await restart(after: error)
            }
        }
    }

    func closeWriters(after error: any Error) async {
        for writer in scope.writers {
            do {
                try await writer.close()
            } catch let second {
                environment.logger.error(
                    "sink could not be closed",
                    metadata: ["stage": "\(name)", "error": "\(second)", "after": "\(error)"])
            }
        }
    }

    func closeWritersReporting() async throws {
        for writer in scope.writers { try await writer.close() }
    }
}
