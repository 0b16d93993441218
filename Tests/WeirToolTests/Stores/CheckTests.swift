import Foundation
import Testing
import WeirTestSupport

@Suite struct `weir check` {
    @Test func `says that the same service loads, and changes nothing`() async throws {
        let made = try await MadeStore()
        let before = try made.folder.snapshot(of: "store")
        let checked = try await made.weir("check")
        #expect(checked.status == 0, "\(checked)")
        #expect(checked.output.contains("'payments' loads checkpoint"), "\(checked)")
        #expect(checked.output.contains("totals: 10 entries"), "\(checked)")
        #expect(checked.errors.contains("a line of the service's own"))
        #expect(try await made.weir("check", ["--savepoint", "half"]).status == 0)
        #expect(try made.folder.snapshot(of: "store") == before)
    }

    @Test func `refuses a renamed stage by its name`() async throws {
        let checked = try await MadeStore().weir("check", service: ["serve", "--stage", "sums"])
        #expect(checked.status == 1, "\(checked)")
        #expect(checked.output.contains("the stage 'totals' has state in it"), "\(checked)")
        #expect(checked.output.contains("sums: new, begins empty"), "\(checked)")
    }

    @Test func `names the state and the key path that don't decode`() async throws {
        let checked = try await MadeStore().weir(
            "check", ["--json"], service: ["serve", "--changes-state"])
        #expect(checked.status == 1, "\(checked)")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(checked.output.utf8)) as? [String: Any])
        let problem = try #require((report["problems"] as? [[String: Any]])?.first)
        #expect(problem["stage"] as? String == "totals")
        #expect(problem["state"] as? String == "reduce/0")
        #expect(problem["type"] as? String == "table of String to NamedTotal")
        #expect((problem["path"] as? String)?.contains("sum") == true, "\(checked)")
    }

    @Test func `reads an encrypted store with the service's keys`() async throws {
        let made = try await MadeStore(["--encrypted"])
        let checked = try await made.weir("check", service: ["serve", "--encrypted"])
        #expect(checked.status == 0, "\(checked)")
        #expect(checked.output.contains("totals: 10 entries"), "\(checked)")
        let without = try await made.weir("check")
        #expect(without.status == 66 && without.errors.contains("has no keys"), "\(without)")
    }

    @Test func `waits for no process that the service has left behind`() async throws {
        let made = try await MadeStore()
        let file = made.folder("waited")
        let checked = try await Tool.weir(
            "check", made.store, "--timeout", "1", "--", "sh", "-c",
            "(sleep 30; echo yes > \(file)) & wait")
        #expect(checked.status == 70, "\(checked)")
        #expect(!FileManager.default.fileExists(atPath: file), "it was waited for")
    }

    @Test(.timeLimit(.minutes(1)), arguments: [SIGINT, SIGTERM])
    func `takes the service with it when it is interrupted`(_ signal: Int32) async throws {
        let made = try await MadeStore()
        let lines = Recorder<String?>()
        let weir = try ChildProcess(
            Products.path(of: "weir"),
            ["check", made.store, "--", "sh", "-c", "echo ready >&2; exec sleep 1000"],
            errors: .lines { lines.append($0) })
        _ = await lines.wait { $0.contains("ready") }
        weir.send(signal)
        #expect(await weir.waitForEnd() == .init(status: 128 + signal, isSignal: false))
        // All have ended that could write there.
        _ = await lines.wait { $0.contains(nil) }
    }

    @Test func `says what is missing`() async throws {
        let made = try await MadeStore()
        #expect(try await made.weir("check", ["--checkpoint", "99"]).status == 66)
        #expect(try await made.weir("check", service: ["idle"]).status == 70)
        #expect(try await Tool.weir("check", made.store).status == 64)
        #expect(try await Tool.weir("check", made.folder("none"), "--", "/bin/true").status == 66)
        #expect(try await Tool.weir("check", made.store, "--", "/no/such/service").status == 127)
    }
}
