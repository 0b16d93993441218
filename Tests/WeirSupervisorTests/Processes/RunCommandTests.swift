import Foundation
import Testing
import WeirTestSupport

@Suite(.timeLimit(.minutes(5))) struct `weir run` {
    private static func run(_ options: [String], fixture: String...) throws -> Child {
        try Child(
            "weir", ["run"] + options + ["--", Products.path(of: "WeirWorkerFixture")] + fixture)
    }

    @Test func `ends with 70 and the last reason after too many restarts`() async throws {
        let child = try Child(
            "weir",
            ["run", "--intensity", "2", "--backoff-max", "0", "--", "sh", "-c", "kill -SEGV $$"]
        )
        let text = await child.errorText()
        #expect(await child.waitForEnd() == .init(status: 70, isSignal: false))
        #expect(text.contains("crashed: SIGSEGV"))
        #expect(text.contains("gave up after 2 restarts"))
    }

    @Test func `says what is missing`() async throws {
        let nothing = try Child("weir", ["run"])
        #expect(await nothing.errorText().contains("the service is missing"))
        #expect(await nothing.waitForEnd().status == 64)
        let wrong = try Child("weir", ["run", "--listen", "8080", "--", "true"])
        #expect(await wrong.errorText().contains("127.0.0.1:8080"))
        #expect(await wrong.waitForEnd().status == 64)
        let unknown = try Child("weir", ["run", "--", "/nonexistent/service"])
        #expect(await unknown.errorText().contains("cannot start /nonexistent/service"))
        #expect(await unknown.waitForEnd().status == 127)
    }

    @Test func `ends with a worker's clean end and writes nothing when quiet`() async throws {
        let child = try Child("weir", ["run", "--quiet", "--", "echo", "--listen", "done"])
        #expect(await child.nextLine() == "--listen done")
        #expect(await child.errorText() == "")
        #expect(await child.waitForEnd() == .init(status: 0, isSignal: false))
    }

    @Test func `passes signals on and ends with the status of a worker told to stop`() async throws
    {
        let child = try Self.run([], fixture: "signals")
        _ = try await child.number(after: "ready")
        for (signal, name) in [
            (SIGHUP, "SIGHUP"), (SIGUSR1, "SIGUSR1"), (SIGUSR2, "SIGUSR2"), (SIGTERM, "SIGTERM"),
        ] {
            child.send(signal)
            #expect(await child.nextLine() == name)
        }
        #expect(await child.waitForEnd() == .init(status: 7, isSignal: false))
    }

    @Test func `kills a worker that does not stop at a further signal after its grace`()
        async throws
    {
        let child = try Self.run(["--grace", "0"], fixture: "stubborn")
        _ = try await child.number(after: "ready")
        child.send(SIGTERM)
        #expect(await child.nextLine() == "SIGTERM")
        child.send(SIGTERM)
        #expect(await child.waitForEnd() == .init(status: 128 + SIGKILL, isSignal: false))
    }

    @Test func `has its worker stopped when it is killed itself`() async throws {
        let child = try Self.run([], fixture: "signals")
        let worker = try await child.number(after: "ready")
        defer { kill(Int32(worker), SIGKILL) }
        child.send(SIGKILL)
        #expect(await child.nextLine() == "SIGTERM")
        #expect(await child.nextLine() == nil)
        #expect(await child.waitForEnd() == .init(status: SIGKILL, isSignal: true))
    }

    @Test func `refuses no client while its worker is restarted`() async throws {
        let child = try Self.run(
            ["--listen", "127.0.0.1:0", "--intensity", "100", "--backoff-max", "0"],
            fixture: "serve", "0")
        let port = try await child.number(after: "listening")
        for round in 0..<10 {
            // The death is not waited for: the next client comes while no worker is there.
            #expect(
                Client.ask(round.isMultiple(of: 2) ? "trap" : "kill", port: port) == .answer(""))
            for _ in 0..<5 {
                let outcome = Client.ask("who", port: port)
                guard case .answer(let text) = outcome else {
                    Issue.record("round \(round): \(outcome)")
                    break
                }
                #expect(text.hasSuffix(" \(round + 1)\n"), "round \(round): \(text)")
            }
        }
        _ = Client.ask("exit", port: port)
        let text = await child.errorText()
        #expect(await child.waitForEnd() == .init(status: 0, isSignal: false))
        #expect(text.contains("trapped: SIG"))
        #expect(text.contains("killed by SIGKILL"))
    }
}

@Suite(.timeLimit(.minutes(5))) struct `A service that supervises itself` {
    @Test func `runs in a worker that is restarted behind the same socket`() async throws {
        let child = try Child("WeirWorkerFixture", ["supervise", "0"])
        let port = try await child.number(after: "listening")
        _ = Client.ask("trap", port: port)
        guard case .answer(let text) = Client.ask("who", port: port) else {
            Issue.record("refused")
            return
        }
        #expect(text.hasSuffix(" 1\n"))
        #expect(text.hasPrefix("\(child.pid) ") == false)
        _ = Client.ask("exit", port: port)
        #expect(await child.waitForEnd() == .init(status: 0, isSignal: false))
    }

    @Test func `gives up with 70`() async throws {
        let child = try Child("WeirWorkerFixture", ["supervise", "0"])
        let port = try await child.number(after: "listening")
        for _ in 0..<4 { _ = Client.ask("kill", port: port) }
        #expect(await child.waitForEnd() == .init(status: 70, isSignal: false))
    }

    @Test func `is the worker when something else supervises it`() async throws {
        let child = try Child(
            "WeirWorkerFixture", ["supervise", "0"], environment: ["WEIR_WORKER": "1"])
        let port = try await child.number(after: "listening")
        guard case .answer(let text) = Client.ask("who", port: port) else {
            Issue.record("refused")
            return
        }
        #expect(text == "\(child.pid) 0\n")
        child.send(SIGKILL)
        _ = await child.waitForEnd()
    }
}
