import Foundation
import Testing
import WeirCore

/// The tables of docs/observation.md and what the sources have can't drift apart.
@Suite struct `The names of metrics` {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// What begins like a metric and is none: modules of Python, and the beginning of several.
    private static let others = ["weir_setup", "weir_tools", "weir_", "weir_connection_"]

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// The files of a folder, or the file itself.
    private static func files(_ place: String) throws -> [String] {
        if place.hasSuffix(".md") { return [place] }
        let folder = root.appendingPathComponent(place).path
        return try #require(FileManager.default.enumerator(atPath: folder))
            .compactMap { $0 as? String }
            .filter { $0.hasSuffix(".md") || $0.hasSuffix(".swift") }.map { "\(place)/\($0)" }
    }

    /// The names in a text that stand behind `quote`, and what follows each of them.
    private static func names(_ text: String, behind quote: String) -> [(String, Character?)] {
        text.components(separatedBy: quote + "weir_").dropFirst().map { rest in
            let name = rest.prefix { $0 == "_" || $0 >= "a" && $0 <= "z" }
            return ("weir_\(name)", rest.dropFirst(name.count).first)
        }
    }

    /// Those in the first column of the tables.
    private static func inTables() throws -> Set<String> {
        var all: Set<String> = []
        for line in try text("docs/observation.md").split(separator: "\n")
        where line.hasPrefix("| `weir_") {
            let cell = line.dropFirst().prefix { $0 != "|" }
            all.formUnion(names(String(cell), behind: "`").map(\.0))
        }
        return all
    }

    /// Those that are a literal.
    private static func inSources() throws -> Set<String> {
        var all: Set<String> = []
        for file in try files("Sources") where file.hasSuffix(".swift") {
            let literals = names(try text(file), behind: "\"").filter { $0.1 == "\"" }
            all.formUnion(literals.map(\.0).filter { $0 != "weir_" })
        }
        return all
    }

    @Test func `are those of the tables in the documentation`() throws {
        let documented = try Self.inTables()
        let existing = try Self.inSources()
        #expect(existing.count > 50)
        let missing = existing.subtracting(documented).sorted()
        #expect(missing == [], "not in docs/observation.md")
        let stale = documented.subtracting(existing).sorted()
        #expect(stale == [], "not in Sources")
    }

    @Test(arguments: ["README.md", "docs", "Sources"])
    func `that are spoken of exist`(_ place: String) throws {
        let existing = try Self.inSources()
        for file in try Self.files(place) {
            let unknown = Self.names(try Self.text(file), behind: "`").map(\.0)
                .filter { !existing.contains($0) && !Self.others.contains($0) }
            #expect(unknown == [], "\(file)")
        }
    }
}
