import Testing

@testable import WeirSupervisor

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite struct `The rules of process supervision` {
    private static let failure = ExitReason(.killed(signal: SIGSEGV))

    private static func machine(
        intensity: Int = 2, _ backoff: RestartBackoff = .none
    ) -> SupervisionStateMachine {
        SupervisionStateMachine(
            intensity: intensity, period: .seconds(10), backoff: backoff, grace: .seconds(30))
    }

    @Test(arguments: [ExitReason(.exited(0)), ExitReason(.exited(64)), ExitReason(.exited(78))])
    func `end with a worker that is not to be restarted`(reason: ExitReason) {
        var machine = Self.machine()
        #expect(machine.workerEnded(reason, at: .zero, random: 0) == .end(reason))
        #expect(machine.restarts == 0)
    }

    @Test(arguments: [
        failure, ExitReason(.exited(1)), ExitReason(.killed(signal: SIGTERM)),
        ExitReason(.notStarted(error: ENOENT)),
    ])
    func `restart a worker that failed`(reason: ExitReason) {
        var machine = Self.machine()
        #expect(machine.workerEnded(reason, at: .zero, random: 0) == .restart(after: .zero))
        #expect(machine.deadlineReached(at: .zero) == .startWorker)
        #expect(machine.restarts == 1)
    }

    @Test func `give up at one restart too many within the period`() {
        var machine = Self.machine()
        for second in 1...2 {
            let now = Duration.seconds(second)
            #expect(
                machine.workerEnded(Self.failure, at: now, random: 0) == .restart(after: .zero))
            #expect(machine.deadlineReached(at: now) == .startWorker)
        }
        #expect(
            machine.workerEnded(Self.failure, at: .seconds(3), random: 0) == .giveUp(Self.failure))
    }

    @Test func `forget restarts that are older than the period`() {
        var machine = Self.machine()
        for second in stride(from: 0, to: 100, by: 5) {
            let now = Duration.seconds(second)
            #expect(
                machine.workerEnded(Self.failure, at: now, random: 0) == .restart(after: .zero))
            #expect(machine.deadlineReached(at: now) == .startWorker)
        }
        #expect(machine.restarts == 20)
    }

    @Test func `wait longer before each restart and never before the first`() {
        var machine = Self.machine(
            intensity: 9,
            .exponential(from: .seconds(1), to: .seconds(3), factor: 2, jitter: 0))
        var delays: [Duration] = []
        for _ in 0..<4 {
            guard case .restart(let delay) = machine.workerEnded(Self.failure, at: .zero, random: 0)
            else { break }
            delays.append(delay)
            #expect(machine.deadline == delay)
            if delay > .zero { #expect(machine.deadlineReached(at: .zero) == .nothing) }
            #expect(machine.deadlineReached(at: delay) == .startWorker)
        }
        #expect(delays == [.zero, .seconds(1), .seconds(2), .seconds(3)])
    }

    @Test func `end with a worker that was told to stop however it ends`() {
        var machine = Self.machine()
        #expect(machine.signalled(SIGTERM, at: .zero) == .forward(SIGTERM))
        let reason = ExitReason(.killed(signal: SIGTERM))
        #expect(machine.workerEnded(reason, at: .zero, random: 0) == .end(reason))
    }

    @Test func `pass other signals on without ending anything`() {
        var machine = Self.machine()
        for signal in [SIGHUP, SIGUSR1, SIGUSR2] {
            #expect(machine.signalled(signal, at: .zero) == .forward(signal))
        }
        #expect(
            machine.workerEnded(Self.failure, at: .zero, random: 0) == .restart(after: .zero))
        #expect(machine.signalled(SIGHUP, at: .zero) == .nothing)
    }

    @Test func `end at once when told to stop between workers`() {
        var machine = Self.machine()
        _ = machine.workerEnded(Self.failure, at: .zero, random: 0)
        #expect(machine.signalled(SIGINT, at: .zero) == .end(Self.failure))
        #expect(machine.signalled(SIGINT, at: .zero) == .nothing)
    }

    @Test func `kill at a further signal after the grace and not before`() {
        var machine = Self.machine()
        _ = machine.signalled(SIGTERM, at: .zero)
        #expect(machine.deadline == .seconds(30))
        #expect(machine.signalled(SIGTERM, at: .seconds(29)) == .forward(SIGTERM))
        #expect(machine.deadlineReached(at: .seconds(30)) == .warnOfKill)
        #expect(machine.deadline == nil)
        #expect(machine.signalled(SIGUSR1, at: .seconds(31)) == .forward(SIGUSR1))
        #expect(machine.signalled(SIGINT, at: .seconds(31)) == .kill)
    }
}
