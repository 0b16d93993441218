import Foundation
import Testing
import WeirTestSupport

@Suite struct `weir inspect` {
    @Test func `shows checkpoints, savepoints, stages and the ingest journal`() async throws {
        let made = try await MadeStore()
        let shown = try await Tool.weir("inspect", made.store)
        #expect(shown.status == 0)
        for text in [
            "of topology 'payments'", "half", "totals", "ingest journal of 'payments'",
            "100 messages", "till: 100", "no damage seen",
        ] {
            #expect(shown.output.contains(text), "lacks '\(text)':\n\(shown)")
        }
    }

    @Test func `prints one object of JSON`() async throws {
        let made = try await MadeStore()
        let shown = try await Tool.weir("inspect", made.store, "--json", "--verify")
        #expect(shown.status == 0)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(shown.output.utf8)) as? [String: Any])
        #expect((object["checkpoints"] as? [Any])?.count == 2)
        #expect((object["savepoints"] as? [Any])?.count == 1)
        #expect(object["isVerified"] as? Bool == true)
    }

    @Test func `takes an encrypted store for whole`() async throws {
        let made = try await MadeStore(["--encrypted"])
        for options in [[], ["--verify"]] {
            let shown = try await Tool.run("weir", ["inspect", made.store] + options)
            #expect(shown.status == 0, "\(shown)")
            #expect(shown.output.contains("encrypted with key 1"), "\(shown)")
        }
    }

    @Test func `shows the values of a stage and of a key`() async throws {
        let made = try await MadeStore()
        let all = try await Tool.weir("inspect", made.store, "--stage", "totals")
        #expect(all.status == 0)
        #expect(all.lines.count == 10, "\(all)")
        let one = try await Tool.weir("inspect", made.store, "--key", "card 3")
        // 3 + 13 + … + 93
        #expect(one.lines == ["totals reduce/0 \"card 3\": {\"sum\":480,\"count\":10}"], "\(one)")
        let half = try await Tool.weir(
            "inspect", made.store, "--key", "card 3", "--savepoint", "half", "--json")
        #expect(half.output.contains("\"value\":{\"sum\":115,\"count\":5}"), "\(half)")
        let few = try await Tool.weir("inspect", made.store, "--stage", "totals", "--limit", "4")
        #expect(few.lines.count == 4)
        #expect(few.errors.contains("there are more"))
    }

    @Test func `changes nothing`() async throws {
        let made = try await MadeStore()
        let before = try made.folder.snapshot(of: "store")
        _ = try await Tool.weir("inspect", made.store, "--verify")
        #expect(try made.folder.snapshot(of: "store") == before)
    }

    @Test func `names the damaged file and the offset`() async throws {
        let made = try await MadeStore()
        let part = try #require(
            made.folder.snapshot(of: "store").keys.first { $0.hasSuffix("totals.0.part") })
        let path = "\(made.store)/\(part)"
        var bytes = try #require(FileManager.default.contents(atPath: path))
        bytes[bytes.count - 1] ^= 1
        #expect(FileManager.default.createFile(atPath: path, contents: bytes))
        let shown = try await Tool.weir("inspect", made.store, "--verify")
        #expect(shown.status == 1)
        #expect(shown.output.contains("\(part) at offset "), "\(shown)")
        #expect(try await Tool.weir("inspect", made.store).status == 0)
    }

    @Test func `names a damaged manifest and a damaged journal`() async throws {
        let made = try await MadeStore()
        let files = try made.folder.snapshot(of: "store")
        let manifest = try #require(files.keys.first { $0.hasSuffix("MANIFEST") })
        let segment = try #require(files.keys.first { $0.hasSuffix(".wj") })
        for (file, offset) in [(manifest, 10), (segment, 120)] {
            var bytes = try #require(files[file])
            bytes[offset] ^= 1
            #expect(
                FileManager.default.createFile(atPath: "\(made.store)/\(file)", contents: bytes))
        }
        let shown = try await Tool.weir("inspect", made.store)
        #expect(shown.status == 1)
        #expect(shown.output.contains("\(manifest): "), "\(shown)")
        #expect(shown.output.contains("\(segment) at offset 64"), "\(shown)")
    }

    @Test func `says what is missing`() async throws {
        let made = try await MadeStore()
        #expect(try await Tool.weir("inspect", made.folder("nothing")).status == 66)
        #expect(try await Tool.weir("inspect", made.folder.path).status == 66)
        #expect(try await Tool.weir("inspect", made.store, "--checkpoint", "99").status == 66)
        #expect(try await Tool.weir("inspect", made.store, "--savepoint", "none").status == 66)
        let stage = try await Tool.weir("inspect", made.store, "--stage", "sums")
        #expect(stage.status == 66)
        #expect(stage.errors.contains("no stage 'sums'; it has"), "\(stage)")
        #expect(try await Tool.weir("inspect").status == 64)
        #expect(try await Tool.weir("inspect", made.store, "--limit", "-1").status == 64)
    }
}
