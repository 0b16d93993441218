import Foundation
import Testing
import WeirTestSupport

@testable import WeirTool

@Suite struct `weir replay` {
    @Test func `gives what the run gave, and changes nothing`() async throws {
        let made = try await MadeStore()
        let before = try made.folder.snapshot(of: "store")
        let then = try String(contentsOfFile: made.alerts, encoding: .utf8).split(separator: "\n")
        let replayed = try await made.weir("replay")
        #expect(replayed.status == 0, "\(replayed)")
        #expect(replayed.lines == then.map { "{\"sink\":\"alerts\",\"event\":\($0)}" })
        #expect(replayed.errors.contains("100 events in, \(then.count) out"), "\(replayed)")
        let compared = try await made.weir("replay", ["--compare", made.alerts])
        #expect(compared.status == 0, "\(compared)")
        #expect(compared.output == "")
        #expect(try made.folder.snapshot(of: "store") == before)
    }

    @Test func `reads an encrypted store with the service's keys`() async throws {
        let made = try await MadeStore(["--encrypted"])
        let replayed = try await made.weir("replay", service: ["serve", "--encrypted"])
        #expect(replayed.status == 0, "\(replayed)")
        #expect(replayed.errors.contains("100 events in"), "\(replayed)")
    }

    @Test func `loses no event to a line that the service has begun`() async throws {
        let made = try await MadeStore()
        let replayed = try await made.weir("replay", service: ["serve", "--mutters"])
        #expect(replayed.status == 0, "\(replayed)")
        #expect(try await made.weir("replay").lines == replayed.lines, "\(replayed)")
        #expect(try await made.weir("check", service: ["serve", "--mutters"]).status == 0)
    }

    @Test func `shows what a changed rule would have flagged`() async throws {
        let made = try await MadeStore()
        let compared = try await made.weir(
            "replay", ["--compare", made.alerts], service: ["serve", "--limit", "450"])
        #expect(compared.status == 1, "\(compared)")
        let sums = compared.lines.compactMap { line -> Int? in
            guard line.hasPrefix("- ") else { return nil }
            let event = try? JSONSerialization.jsonObject(with: Data(line.dropFirst(2).utf8))
            return (event as? [String: Any])?["sum"] as? Int
        }
        #expect(sums.count == compared.lines.count)
        #expect(!sums.isEmpty && sums.allSatisfy { (301...450).contains($0) }, "\(compared)")
        #expect(compared.errors.contains("\(sums.count) only then, 0 only now"), "\(compared)")
    }

    @Test func `goes on from a savepoint with its state`() async throws {
        let made = try await MadeStore()
        let all = try await made.weir("replay")
        let half = try await made.weir("replay", ["--savepoint", "half"])
        #expect(half.status == 0, "\(half)")
        #expect(half.errors.contains("50 events in"), "\(half)")
        // No card has 300 in the first half.
        #expect(half.lines == all.lines)
        let empty = try await made.weir("replay", ["--empty", "--to", "event 10"])
        #expect(empty.errors.contains("from empty state: 10 events in, 0 out"), "\(empty)")
    }

    @Test func `shows the state of a key before and after each event`() async throws {
        let made = try await MadeStore()
        let stepped = try await made.weir(
            "replay", ["--step", "--key", "card 3", "--to", "event 30"])
        #expect(stepped.status == 0, "\(stepped)")
        let changes = stepped.lines.filter { $0.hasPrefix("    ") }
        #expect(
            changes == [
                "    - none", "    + {\"sum\":3,\"count\":1}",
                "    - {\"sum\":3,\"count\":1}", "    + {\"sum\":16,\"count\":2}",
                "    - {\"sum\":16,\"count\":2}", "    + {\"sum\":39,\"count\":3}",
            ], "\(stepped)")
    }

    @Test func `says what is missing`() async throws {
        let made = try await MadeStore()
        let source = try await made.weir("replay", ["--source", "orders"])
        #expect(source.status == 65)
        #expect(source.errors.contains("no source 'orders'"), "\(source)")
        #expect(try await made.weir("replay", ["--compare", made.folder("none")]).status == 66)
        #expect(try await made.weir("replay", ["--from", "yesterday"]).status == 64)
        #expect(try await made.weir("replay", ["--key", "card 3"]).status == 64)
        #expect(try await made.weir("replay", service: ["idle", "--status", "3"]).status == 70)
        let renamed = try await made.weir(
            "replay", ["--savepoint", "half"], service: ["serve", "--stage", "sums"])
        #expect(renamed.status == 65)
        #expect(renamed.errors.contains("'totals'"), "\(renamed)")
    }

    @Test(arguments: [
        ("12", ReplayPoint.record(12)), ("event 5", .event(5)), ("event:5", .event(5)),
        ("-1", nil), ("noon", nil), ("event x", nil),
    ])
    func `reads points`(_ text: String, _ point: ReplayPoint?) {
        #expect(ReplayPoint(argument: text) == point)
    }

    @Test func `reads speeds`() {
        #expect(ReplaySpeed(argument: "max")?.factor == nil)
        #expect(ReplaySpeed(argument: "10x")?.factor == 10)
        #expect(ReplaySpeed(argument: "0.5")?.factor == 0.5)
        for text in ["0x", "-1x", "fast", "infx"] { #expect(ReplaySpeed(argument: text) == nil) }
    }
}
