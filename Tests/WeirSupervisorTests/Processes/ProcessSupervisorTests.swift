import Foundation
import Logging
import Synchronization
import Testing

@testable import WeirSupervisor

@Suite(.timeLimit(.minutes(5))) struct `A process supervisor` {
    private final class Starts: Sendable {
        private let pids = Mutex<[Int32]>([])

        var count: Int { pids.withLock { $0.count } }

        func append(_ pid: Int32) -> Int {
            pids.withLock { pids in
                pids.append(pid)
                return pids.count
            }
        }
    }

    /// A supervisor of a shell script, and how often that was started.
    private static func supervisor(
        _ script: String, intensity: Int = 5, listening: [ListenAddress] = []
    ) -> (ProcessSupervisor, Starts) {
        let starts = Starts()
        var supervisor = ProcessSupervisor(
            executable: "sh", arguments: ["-c", script], listening: listening,
            intensity: intensity, backoff: .none,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        supervisor.forwardsSignals = false
        supervisor.onStart = { _ = starts.append($0) }
        return (supervisor, starts)
    }

    @Test func `ends with a worker that has finished`() async throws {
        let (supervisor, starts) = Self.supervisor("exit 0")
        #expect(try await supervisor.run().isClean)
        #expect(starts.count == 1)
    }

    @Test func `restarts a worker that is killed and tells the next one why`() async throws {
        let (supervisor, starts) = Self.supervisor(
            """
            [ "$WEIR_WORKER" = 1 ] || exit 64
            if [ "$WEIR_RESTARTS" = 0 ]; then kill -9 $$; fi
            case "$WEIR_LAST_EXIT" in 'killed by SIGKILL'*) exit 0;; *) exit 78;; esac
            """)
        #expect(try await supervisor.run() == ExitReason(.exited(0)))
        #expect(starts.count == 2)
    }

    @Test func `may give a worker any time to stop`() async throws {
        var (supervisor, _) = Self.supervisor("exec sleep 1000")
        supervisor.grace = .seconds(Int64.max)
        let (started, continuation) = AsyncStream<Void>.makeStream()
        supervisor.onStart = { _ in continuation.finish() }
        let running = Task { [supervisor] in try await supervisor.run() }
        for await _ in started {}
        running.cancel()
        #expect(try await running.value == ExitReason(.killed(signal: SIGTERM)))
    }

    @Test func `gives up when the worker fails too often`() async throws {
        let (supervisor, starts) = Self.supervisor("exit 3", intensity: 2)
        let error = await #expect(throws: ProcessSupervisorError.self) {
            _ = try await supervisor.run()
        }
        #expect(error?.code == .intensityExceeded)
        #expect(error?.lastExit == ExitReason(.exited(3)))
        #expect(error?.exitCode == 70)
        #expect(error?.message.contains("exited with 3") == true)
        #expect(starts.count == 3)
    }

    @Test(arguments: [Int32(64), 78])
    func `does not restart a worker that was called wrongly`(code: Int32) async throws {
        let (supervisor, starts) = Self.supervisor("exit \(code)")
        #expect(try await supervisor.run() == ExitReason(.exited(code)))
        #expect(starts.count == 1)
    }

    @Test func `restarts a worker killed from outside and stops it when it is cancelled`()
        async throws
    {
        var (supervisor, _) = Self.supervisor("exec sleep 1000")
        let starts = Starts()
        let (restarted, continuation) = AsyncStream<Void>.makeStream()
        supervisor.onStart = { pid in
            if starts.append(pid) == 1 {
                kill(pid, SIGKILL)
            } else {
                continuation.finish()
            }
        }
        let running = supervisor
        let task = Task { try await running.run() }
        for await _ in restarted {}
        task.cancel()
        #expect(try await task.value == ExitReason(.killed(signal: SIGTERM)))
        #expect(starts.count == 2)
    }

    @Test(arguments: ["/nonexistent/service", "no-such-command-of-weir", "/etc/passwd", "/tmp"])
    func `says what cannot be executed`(executable: String) async throws {
        var (supervisor, starts) = Self.supervisor("")
        supervisor.executable = executable
        let failing = supervisor
        let error = await #expect(throws: ProcessSupervisorError.self) {
            _ = try await failing.run()
        }
        #expect(error?.code == .notExecutable)
        #expect(error?.exitCode == 127)
        #expect(error?.message.contains(executable) == true)
        #expect(starts.count == 0)
    }

    @Test func `counts a worker that cannot be started again as failed`() async throws {
        let script = FileManager.default.temporaryDirectory
            .appendingPathComponent("weir-\(UUID().uuidString)")
        try Data("#!/bin/sh\nrm \"$0\"\nexit 1\n".utf8).write(to: script)
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: script.path)
        var (supervisor, starts) = Self.supervisor("", intensity: 2)
        supervisor.executable = script.path
        let failing = supervisor
        let error = await #expect(throws: ProcessSupervisorError.self) {
            _ = try await failing.run()
        }
        #expect(error?.code == .intensityExceeded)
        #expect(error?.lastExit == ExitReason(.notStarted(error: ENOENT)))
        #expect(starts.count == 1)
    }

    @Test func `passes on the listening sockets and no other descriptor`() async throws {
        // One that this process would leave to its children.
        let open = dup(0)
        defer { close(open) }
        let (supervisor, _) = Self.supervisor(
            """
            [ "$WEIR_LISTEN_FDS" = "127.0.0.1:0=3,127.0.0.1:0=4" ] || exit 64
            [ -S /proc/$$/fd/3 ] && [ -S /proc/$$/fd/4 ] || exit 64
            n=5; while [ $n -lt 100 ]; do [ ! -e /proc/$$/fd/$n ] || exit 64; n=$((n+1)); done
            """, listening: [ListenAddress(port: 0), ListenAddress(port: 0)])
        #expect(try await supervisor.run().isClean)
    }

    @Test func `says which address it cannot listen on`() async throws {
        let sockets = try ListeningSockets([ListenAddress(port: 0)])
        for address in [sockets.addresses[0], ListenAddress(host: "example", port: 1)] {
            let (supervisor, starts) = Self.supervisor("exit 0", listening: [address])
            let error = await #expect(throws: ProcessSupervisorError.self) {
                _ = try await supervisor.run()
            }
            #expect(error?.code == .notListening)
            #expect(error?.message.contains("\(address)") == true)
            #expect(starts.count == 0)
        }
    }
}
