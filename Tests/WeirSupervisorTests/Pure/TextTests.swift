import Foundation
import Testing

@testable import WeirSupervisor

@Suite struct `An exit reason` {
    @Test(arguments: [
        (ExitReason(.exited(3)), "exited with 3", Int32(3)),
        (ExitReason(.exited(64)), "exited with 64 (wrong usage)", 64),
        (ExitReason(.exited(137)), "exited with 137 (as a shell does after SIGKILL)", 137),
        (ExitReason(.killed(signal: 4)), "trapped: SIGILL", 132),
        (ExitReason(.killed(signal: 5), dumpedCore: true), "trapped: SIGTRAP, core dumped", 133),
        (ExitReason(.killed(signal: 11)), "crashed: SIGSEGV (invalid memory access)", 139),
        (ExitReason(.killed(signal: 6)), "aborted: SIGABRT", 134),
        (ExitReason(.killed(signal: 9)), "killed by SIGKILL", 137),
        (
            ExitReason(.killed(signal: 9), memoryShortage: .possible),
            "killed by SIGKILL (perhaps out of memory; see dmesg)", 137
        ),
        (
            ExitReason(.killed(signal: 9), memoryShortage: .certain),
            "killed by SIGKILL (out of memory)", 137
        ),
        (ExitReason(.killed(signal: 15)), "killed by SIGTERM", 143),
        (
            ExitReason(.notStarted(error: 2)), "could not be started: No such file or directory",
            127
        ),
    ])
    func `says what happened and has a shell's status`(
        reason: ExitReason, text: String, status: Int32
    ) {
        #expect(reason.description == text)
        #expect(reason.status == status)
    }
}

@Suite struct `Out-of-memory kills` {
    @Test func `are read where the control group or the machine counts them`() {
        #expect(
            OutOfMemoryKills.candidates("4:memory:/a\n1:cpu,cpuacct:/b\n0::/svc\n") == [
                "/sys/fs/cgroup/memory/a/memory.oom_control", "/sys/fs/cgroup/svc/memory.events",
                "/proc/vmstat",
            ])
        #expect(OutOfMemoryKills.candidates("0::/").first == "/sys/fs/cgroup/memory.events")
        #expect(OutOfMemoryKills.count(in: "low 0\noom 3\noom_kill 2\noom_group_kill 0\n") == 2)
        #expect(OutOfMemoryKills.count(in: "low 0\n") == nil)
    }

    @Test func `are possible where nobody counts`() {
        #expect(OutOfMemoryKills.verdict(before: 1, after: 2) == .certain)
        #expect(OutOfMemoryKills.verdict(before: 1, after: 1) == .unlikely)
        #expect(OutOfMemoryKills.verdict(before: nil, after: 1) == .possible)
    }
}

@Suite struct `An address to listen on` {
    @Test(arguments: [
        ("127.0.0.1:8080", "127.0.0.1:8080"), ("[::1]:0", "[::1]:0"),
        ("localhost:65535", "127.0.0.1:65535"),
    ])
    func `is read as host and port`(text: String, shown: String) throws {
        #expect(try ListenAddress(parsing: text).description == shown)
    }

    @Test(arguments: [
        "", "8080", ":8080", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", "[::1]",
        "[]:1", "127.0.0.1:99999999999999999999",
    ])
    func `is refused with an example when it is none`(text: String) {
        let error = #expect(throws: ProcessSupervisorError.self) {
            _ = try ListenAddress(parsing: text)
        }
        #expect(error?.message.contains("127.0.0.1:8080") == true)
    }
}

@Suite struct `A worker's environment` {
    @Test func `says what the worker is and not what the supervisor was`() {
        let environment = SupervisedWorker.environment(
            ["HOME": "/h", "LISTEN_FDS": "1", "LISTEN_PID": "2", "WEIR_LISTEN_FDS": "old"],
            listening: "", restarts: 2, lastExit: ExitReason(.exited(3)))
        #expect(
            environment == [
                "HOME": "/h", "WEIR_WORKER": "1", "WEIR_RESTARTS": "2",
                "WEIR_LAST_EXIT": "exited with 3",
            ])
        let worker = SupervisedWorker { environment[$0] }
        #expect(worker?.restarts == 2)
        #expect(worker?.lastExit == "exited with 3")
        #expect(SupervisedWorker { _ in nil } == nil)
    }
}

@Suite struct `A worker that could not be started` {
    @Test(arguments: [
        (Int32(2), ProcessSupervisorError.Code.notExecutable, Int32(127)),
        (13, .notExecutable, 127), (8, .notExecutable, 127),
        // ENOMEM, ENFILE and EMFILE.
        (EAGAIN, .system, 71), (12, .system, 71), (23, .system, 71), (24, .system, 71),
    ])
    func `tells a program that is none from a system that has no room`(
        error: Int32, code: ProcessSupervisorError.Code, exitCode: Int32
    ) {
        let failure = ProcessSupervisorError(notStarted: "./service", error: error)
        #expect(failure.code == code)
        #expect(failure.exitCode == exitCode)
        #expect(failure.message.hasPrefix("cannot start ./service: "))
    }
}
