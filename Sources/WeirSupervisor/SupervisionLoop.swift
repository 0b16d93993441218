import CWeirProcess
import Logging
import Metrics

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The supervising thread: starts workers, waits for what happens, and does what the state machine says.
struct SupervisionLoop {
    /// The signals that are passed on.
    static let forwardedSignals = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]

    private let supervisor: ProcessSupervisor
    private let wake: WakePipe
    private let sockets: ListeningSockets
    private let kills = OutOfMemoryKills()
    private let restartCounter = Counter(label: "weir_process_restarts_total")
    private let beginning = ContinuousClock.now
    private var machine: SupervisionStateMachine
    private var worker: WorkerProcess?
    private var killsBefore: Int?
    private var lastExit: ExitReason?
    private var logger: Logger { supervisor.logger }

    /// Supervises until a worker ends that is not to be restarted.
    static func run(_ supervisor: ProcessSupervisor, _ wake: WakePipe) throws -> ExitReason {
        var loop = try SupervisionLoop(supervisor, wake)
        return try loop.run()
    }

    private init(_ supervisor: ProcessSupervisor, _ wake: WakePipe) throws {
        guard supervisor.intensity >= 0, supervisor.period > .zero else {
            throw ProcessSupervisorError(
                .invalidArgument,
                "the intensity is \(supervisor.intensity) within \(supervisor.period); it is a "
                    + "number of restarts, 0 or more, within a time above zero")
        }
        self.supervisor = supervisor
        self.wake = wake
        sockets = try ListeningSockets(supervisor.listening)
        machine = SupervisionStateMachine(
            intensity: supervisor.intensity, period: supervisor.period,
            backoff: supervisor.backoff, grace: supervisor.grace)
    }

    private var now: Duration { ContinuousClock.now - beginning }

    private mutating func run() throws -> ExitReason {
        cwp_unblock_signals()
        var signals: Int32 = -1
        if supervisor.forwardsSignals {
            signals = cwp_signals_begin(
                Self.forwardedSignals, Int32(Self.forwardedSignals.count))
            try Self.check(signals)
        }
        defer { if signals >= 0 { cwp_signals_end() } }
        for (asked, actual) in zip(supervisor.listening, sockets.addresses) {
            logger.info(
                "listening for the worker",
                metadata: [
                    "asked": "\(asked)", "address": "\(actual)",
                ])
        }
        do {
            try start()
        } catch let failure as WorkerProcess.StartFailure {
            throw ProcessSupervisorError(notStarted: supervisor.executable, error: failure.error)
        }
        while true {
            let action = try wait(signals: signals)
            if let outcome = try perform(action) { return outcome }
        }
    }

    /// Sleeps until the worker ends, a signal comes or the deadline is reached.
    private mutating func wait(signals: Int32) throws -> SupervisionStateMachine.Action {
        var polled = [worker?.watch ?? -1, signals, wake.readEnd].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        var timeout: Int32 = -1
        if let deadline = machine.deadline {
            let left = max(.zero, deadline - now)
            timeout = Int32(min((left / .milliseconds(1)).rounded(.up), Double(Int32.max)))
        }
        let count = poll(&polled, nfds_t(polled.count), timeout)
        if count < 0 { return .nothing }
        if count == 0 { return machine.deadlineReached(at: now) }
        // Signals first: a worker that stopped because it was told to is not to be restarted.
        if polled[1].revents != 0, let signal = nextSignal(signals) {
            let action = machine.signalled(Int32(signal.number), at: now)
            // The terminal has sent it to the worker as well.
            if case .forward = action, signal.to_group != 0 { return .nothing }
            return action
        }
        if polled[2].revents != 0, wake.drain() { return machine.signalled(SIGTERM, at: now) }
        if polled[0].revents != 0 { return ended(try collect()) }
        return .nothing
    }

    private func nextSignal(_ descriptor: Int32) -> cwp_signal? {
        var signal = cwp_signal()
        let size = MemoryLayout<cwp_signal>.size
        return read(descriptor, &signal, size) == size ? signal : nil
    }

    /// Does what is to be done; returns how the last worker ended when it was the last.
    private mutating func perform(
        _ action: SupervisionStateMachine.Action
    ) throws -> ExitReason? {
        switch action {
        case .nothing:
            break
        case .startWorker:
            return try restart()
        case .forward(let signal):
            logger.info("passing a signal on", metadata: ["signal": "\(signalName(signal))"])
            worker?.send(signal)
        case .warnOfKill:
            logger.warning("the worker still runs; a further SIGTERM or SIGINT kills it")
        case .kill:
            logger.warning("killing the worker, its grace is over")
            worker?.send(SIGKILL)
        case .restart(let delay):
            logger.warning(
                "the worker failed and is restarted",
                metadata: [
                    "reason": "\(lastExit?.description ?? "")", "restarts": "\(machine.restarts)",
                    "delay": "\(delay)",
                ])
            restartCounter.increment()
        case .end(let reason):
            report(end: reason)
            return reason
        case .giveUp(let reason):
            throw ProcessSupervisorError(
                .intensityExceeded,
                "gave up after \(machine.restarts) restarts: the worker \(reason), and more than "
                    + "\(supervisor.intensity) restarts within \(supervisor.period) are too many",
                lastExit: reason)
        }
        return nil
    }

    private func report(end reason: ExitReason) {
        if reason.isClean {
            logger.info("the worker has finished")
        } else if reason.isMisuse {
            logger.error(
                "the worker is not restarted: it says that it was called wrongly",
                metadata: [
                    "reason": "\(reason)"
                ])
        } else {
            logger.info("the worker has stopped", metadata: ["reason": "\(reason)"])
        }
    }

    private mutating func ended(_ reason: ExitReason) -> SupervisionStateMachine.Action {
        lastExit = reason
        return machine.workerEnded(reason, at: now, random: .random(in: 0..<1))
    }

    /// Starts a worker again; one that cannot be started counts as one that failed.
    private mutating func restart() throws -> ExitReason? {
        do {
            try start()
            return nil
        } catch let failure as WorkerProcess.StartFailure {
            return try perform(ended(ExitReason(.notStarted(error: failure.error))))
        }
    }

    private mutating func start() throws {
        killsBefore = kills.count
        let worker = try WorkerProcess.start(
            supervisor, sockets, restarts: machine.restarts, lastExit: lastExit)
        self.worker = worker
        logger.info("the worker has started", metadata: ["pid": "\(worker.pid)"])
        supervisor.onStart?(worker.pid)
    }

    private mutating func collect() throws -> ExitReason {
        guard let worker else { return ExitReason(.exited(0)) }
        self.worker = nil
        let cause: ExitReason.Cause
        var code: Int32 = 0
        var signal: Int32 = 0
        var dumpedCore: Int32 = 0
        try Self.check(cwp_reap(worker.pid, &code, &signal, &dumpedCore))
        cause = signal == 0 ? .exited(code) : .killed(signal: signal)
        let shortage =
            signal == SIGKILL
            ? OutOfMemoryKills.verdict(before: killsBefore, after: kills.count) : .unlikely
        return ExitReason(cause, dumpedCore: dumpedCore != 0, memoryShortage: shortage)
    }

    private static func check(_ status: Int32) throws(ProcessSupervisorError) {
        if status == -EBUSY {
            throw ProcessSupervisorError(
                .alreadySupervising,
                "another supervisor of this process forwards its signals; there can be one")
        }
        if status < 0 {
            throw ProcessSupervisorError(.system, String(cString: strerror(-status)))
        }
    }
}
