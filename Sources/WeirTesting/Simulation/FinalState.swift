import WeirBinary
import WeirCore

/// What the keyed stages of a run remember at its end, as its last checkpoint has it.
struct FinalState {
    /// Of each piece of state, its entries as text, sorted.
    private(set) var entries: [String: [String]] = [:]

    /// - Throws: When the checkpoint can't be read.
    init(of run: TrialRun) throws {
        let store = CheckpointDirectory(path: SimulatedWorld.store, files: run.files)
        guard let newest = try store.completeCheckpoints().last else { return }
        let directory = store.directory(of: newest)
        for part in try store.manifest(in: directory).parts {
            let tables = Set(part.states.filter { $0.contents.hasPrefix("table of") }.map(\.id))
            for section in try store.sections(of: part, in: directory)
            where tables.contains(section.id) {
                entries["\(section.id) of stage '\(part.stage)'", default: []] +=
                    try Self.entries(section.bytes)
            }
        }
        for name in Array(entries.keys) { entries[name]?.sort() }
    }

    /// Each entry is a key, a value and a time of expiry, which depends on processing time.
    private static func entries(_ bytes: [UInt8]) throws -> [String] {
        let values = try BinaryValue.values(of: bytes)
        return stride(from: 0, to: values.count / 3 * 3, by: 3).map {
            "\(values[$0]): \(values[$0 + 1])"
        }
    }

    /// In what way this is not the other; nil if it is.
    func difference(from reference: FinalState) -> String? {
        let names = Set(entries.keys).union(reference.entries.keys).sorted()
        for name in names {
            let (actual, expected) = (entries[name] ?? [], reference.entries[name] ?? [])
            if actual == expected { continue }
            let index = zip(actual, expected).prefix { $0 == $1 }.count
            let has = index < actual.count ? actual[index] : "no more"
            let wanted = index < expected.count ? expected[index] : "no more"
            return "the state \(name) has \(has), not \(wanted)"
        }
        return nil
    }
}
