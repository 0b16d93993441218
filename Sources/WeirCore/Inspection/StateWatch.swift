import WeirBinary
import WeirJournal

/// Tells what an event has changed, by capturing the stages' state before and after it.
final class StateWatch {
    private struct SectionID: Hashable {
        let stage: String
        let instance: Int
        let state: String
        let group: Int
    }

    private struct EntryID: Hashable {
        let stage: String
        let state: String
        let name: String
    }

    private struct Section {
        let contents: String
        let section: PartSection
    }

    private let key: String?
    private let executor: ReplayExecutor
    private let instances: [StageActor]
    private var known: [SectionID: Section] = [:]

    init(_ running: RunningTopology, key: String?, on executor: ReplayExecutor) throws {
        self.key = key
        self.executor = executor
        instances = Array(running.instances.joined())
        known = try capture()
    }

    /// What has changed since the last call; of the chosen key also what hasn't.
    func changes() throws -> [ReplayStep.Change] {
        let before = known
        known = try capture()
        var old: [EntryID: StateEntry] = [:]
        var new: [EntryID: StateEntry] = [:]
        for id in Set(before.keys).union(known.keys) {
            if key == nil, before[id]?.section.bytes == known[id]?.section.bytes { continue }
            try add(id, before[id], to: &old)
            try add(id, known[id], to: &new)
        }
        var changes: [ReplayStep.Change] = []
        for id in Set(old.keys).union(new.keys) {
            let (before, after) = (old[id].map(Self.text), new[id].map(Self.text))
            if key == nil && before == after { continue }
            changes.append(
                .init(
                    stage: id.stage, state: id.state, key: (new[id] ?? old[id])?.keyText,
                    before: before, after: after))
        }
        let order = Dictionary(
            instances.map { ($0.name, $0.order) }, uniquingKeysWith: { first, _ in first })
        return changes.sorted { left, right in
            (order[left.stage] ?? 0, left.state, left.key ?? "", left.before ?? "")
                < (order[right.stage] ?? 0, right.state, right.key ?? "", right.before ?? "")
        }
    }

    private static func text(_ entry: StateEntry) -> String {
        guard let deadline = entry.deadline else { return entry.value.description }
        return "\(entry.value) until \(deadline)"
    }

    private func add(
        _ id: SectionID, _ section: Section?, to entries: inout [EntryID: StateEntry]
    ) throws {
        guard let section else { return }
        let found = try StateEntry.entries(
            of: section.section, stage: id.stage, instance: id.instance, contents: section.contents)
        for (index, entry) in found.enumerated() {
            if let key, entry.keyText != key { continue }
            var name = entry.keyText ?? "\(id.instance)/\(index)"
            if section.contents.hasPrefix("timers of ") {
                name += " \(entry.value) \(entry.deadline.map(\.description) ?? "")"
            }
            entries[EntryID(stage: id.stage, state: id.state, name: name)] = entry
        }
    }

    private func capture() throws -> [SectionID: Section] {
        var sections: [SectionID: Section] = [:]
        let key = key
        for instance in instances {
            let captured = executor.perform { try await instance.captureForInspection(key: key) }
            for (contents, section) in try captured?.get() ?? [] {
                let id = SectionID(
                    stage: instance.name, instance: instance.instance, state: section.id,
                    group: section.group)
                sections[id] = Section(contents: contents, section: section)
            }
        }
        return sections
    }
}

extension StageActor {
    /// The state as checkpoints would have it; with a key only where that may be.
    fileprivate func captureForInspection(
        key: String?
    ) throws -> [(contents: String, section: PartSection)] {
        var sections: [(contents: String, section: PartSection)] = []
        for (id, state) in scope.states {
            if key != nil && !state.isKeyed { continue }
            let group = key.flatMap { Self.group(of: $0, in: state.contents) }
            try state.beginCapture()
            while let portion = state.captureNext() {
                if let group, let one = portion.group, one != group { continue }
                try portion.forEachSection { each, bytes in
                    if let group, each != group { return }
                    sections.append(
                        (state.contents, PartSection(id: id, group: each, bytes: bytes)))
                }
            }
        }
        return sections
    }

    /// The key group of a key, where its type is one whose text says all; nil for any group.
    private static func group(of key: String, in contents: String) -> Int? {
        if contents.hasPrefix("table of String to ") || contents == "timers of String" {
            return KeyGroup.keyGroup(ofHash: stableHash(key))
        }
        if contents.hasPrefix("table of Int to ") || contents == "timers of Int",
            let number = Int(key)
        {
            return KeyGroup.keyGroup(ofHash: stableHash(number))
        }
        return nil
    }
}
