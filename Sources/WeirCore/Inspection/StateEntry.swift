package import WeirBinary
import WeirJournal

/// A value of a checkpoint's state, without its type.
package struct StateEntry: Sendable, Equatable {
    package let stage: String
    package let instance: Int
    /// The state's name within its stage.
    package let state: String
    package let group: Int?
    /// Nil for state that is not kept by key.
    package let key: BinaryValue?
    /// Of a timer its tag.
    package let value: BinaryValue
    /// When a timer fires, or an entry expires.
    package let deadline: EventTime?

    /// The key as a user types it: text without quotation marks.
    package var keyText: String? { key.map(Self.text) }

    package static func text(_ key: BinaryValue) -> String {
        if case .text(let text) = key { return text }
        return key.description
    }
}

extension StateEntry {
    /// The entries of a portion of state.
    ///
    /// Tables are written as key, value, deadline; timers as key, time, tag, number; all other state
    /// as one value after the other.
    ///
    /// - Parameter contents: What the manifest says that the state holds.
    static func entries(
        of section: PartSection, stage: String, instance: Int, contents: String
    ) throws -> [StateEntry] {
        let values = try BinaryValue.values(of: section.bytes)
        let group = section.group < 0 ? nil : section.group
        func entry(_ key: BinaryValue?, _ value: BinaryValue, _ deadline: BinaryValue?)
            -> StateEntry
        {
            StateEntry(
                stage: stage, instance: instance, state: section.id, group: group, key: key,
                value: value, deadline: deadline.flatMap(time))
        }
        if contents.hasPrefix("timers of "), values.count % 4 == 0 {
            return stride(from: 0, to: values.count, by: 4).map {
                entry(values[$0], values[$0 + 2], values[$0 + 1])
            }
        }
        let isTable = contents.hasPrefix("table of ") || group != nil
        if isTable, values.count % 3 == 0 {
            return stride(from: 0, to: values.count, by: 3).map {
                entry(values[$0], values[$0 + 1], values[$0 + 2])
            }
        }
        return values.map { entry(nil, $0, nil) }
    }

    /// A deadline; nil for none.
    private static func time(_ value: BinaryValue) -> EventTime? {
        guard case .integer(let number) = value, let nanoseconds = Int64(exactly: number),
            nanoseconds != .max, nanoseconds != .min
        else { return nil }
        return EventTime(nanoseconds: nanoseconds)
    }
}

/// Which values of a checkpoint are wanted.
package struct StateSelection: Sendable {
    package var stage: String?
    package var key: String?
    package var limit: Int

    package init(stage: String? = nil, key: String? = nil, limit: Int = 100) {
        self.stage = stage
        self.key = key
        self.limit = limit
    }
}

extension StoreReader {
    /// The directory of a checkpoint or savepoint; the newest checkpoint for neither.
    ///
    /// - Throws: ``MissingFromStore`` when it isn't there or isn't complete.
    package func snapshot(checkpoint: Int?, savepoint: String?) throws -> String {
        if let savepoint {
            let names = try directory.savepointNames()
            guard names.contains(savepoint) else {
                throw MissingFromStore(
                    "the store has no savepoint '\(savepoint)', only \(names)")
            }
            return directory.directory(ofSavepoint: savepoint)
        }
        let complete = try directory.completeCheckpoints()
        guard let newest = complete.last else {
            throw MissingFromStore("the store has no complete checkpoint")
        }
        if let checkpoint, !complete.contains(checkpoint) {
            throw MissingFromStore("the store has no checkpoint \(checkpoint), only \(complete)")
        }
        return directory.directory(of: checkpoint ?? newest)
    }

    /// Values of a checkpoint's state, and whether there are more than the limit.
    ///
    /// - Parameter path: The checkpoint's directory.
    /// - Throws: ``MissingFromStore`` for a stage that isn't in it, ``StoreError`` for damage.
    package func entries(
        in path: String, _ selection: StateSelection
    ) throws -> (entries: [StateEntry], isComplete: Bool) {
        let manifest = try directory.manifest(in: path)
        let parts = manifest.parts.filter { selection.stage == nil || $0.stage == selection.stage }
        if parts.isEmpty, let stage = selection.stage {
            let names = Set(manifest.parts.map(\.stage)).sorted()
            throw MissingFromStore(
                "checkpoint \(manifest.checkpoint) has no stage '\(stage)'; it has "
                    + names.joined(separator: ", "))
        }
        var found: [StateEntry] = []
        for part in parts {
            let states = Dictionary(
                part.states.map { ($0.id, $0.contents) }, uniquingKeysWith: { first, _ in first })
            for section in try directory.sections(of: part, in: path) {
                if section.id.hasPrefix("sink/") { continue }
                let entries: [StateEntry]
                do {
                    entries = try StateEntry.entries(
                        of: section, stage: part.stage, instance: part.instance,
                        contents: states[section.id] ?? "")
                } catch {
                    throw StoreError(
                        store: directory.path,
                        reason: "'\(path)/\(part.file)': the state '\(section.id)' can't be read: "
                            + "\(error)")
                }
                for entry in entries where selection.key == nil || entry.keyText == selection.key {
                    if found.count >= selection.limit { return (found, false) }
                    found.append(entry)
                }
            }
        }
        return (found, true)
    }
}
