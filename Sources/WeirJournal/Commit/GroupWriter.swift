/// Records that one caller submitted, and whom to tell.
struct Submission: Sendable {
    var group: RecordGroup
    var completion: GroupCommitter.Completion
    /// Records that the journal's buffer has already.
    var appended = 0
    var first: Journal.Position = 0
}

/// Submissions in order, with a bound on their bytes.
struct SubmissionQueue: Sendable {
    private var waiting: [Submission] = []
    /// Bytes of all that was submitted and not completed, taken or not.
    var pendingBytes = 0

    var isEmpty: Bool { waiting.isEmpty }

    /// A submission larger than the bound is taken when nothing else waits.
    func hasRoom(for bytes: Int, bound: Int) -> Bool {
        pendingBytes == 0 || bytes <= bound - pendingBytes
    }

    mutating func add(_ submission: Submission) {
        pendingBytes += submission.group.byteCount
        waiting.append(submission)
    }

    /// Takes the first few, at least one unless the bound is 0.
    mutating func take(upTo bound: Int) -> [Submission] {
        guard bound > 0, !waiting.isEmpty else { return [] }
        var bytes = waiting[0].group.byteCount
        var count = 1
        while count < waiting.count, waiting[count].group.byteCount <= bound - bytes {
            bytes += waiting[count].group.byteCount
            count += 1
        }
        if count == waiting.count {
            defer { waiting = [] }
            return waiting
        }
        let taken = Array(waiting[..<count])
        waiting.removeFirst(count)
        return taken
    }
}

/// Appends submissions to a journal and commits them; keeps those that fail.
struct GroupWriter: Sendable {
    /// What an attempt has done.
    struct Outcome: Sendable {
        var completed: [(Submission, Result<Range<Journal.Position>, StorageError>)] = []
        var completedBytes = 0
        var error: StorageError?
        /// Set when commits began to fail, or succeed again.
        var changesBlocked = false
        var didWork = false
        /// Whether no further attempt can succeed.
        var isFatal = false
    }

    private let journal: Journal
    private var held: [Submission] = []

    /// Why the last attempt failed.
    private(set) var blocked: StorageError?

    init(journal: Journal) { self.journal = journal }

    /// Whether submissions of an earlier attempt wait to be committed.
    var isHolding: Bool { !held.isEmpty }

    mutating func take(_ submissions: [Submission]) { held += submissions }

    /// Appends and commits all that is held, in as many commits as the journal's bounds ask for.
    mutating func commit() -> Outcome {
        var outcome = Outcome()
        outcome.didWork = !held.isEmpty
        while !held.isEmpty, outcome.error == nil {
            let refusal = appendHeld(&outcome)
            do throws(StorageError) {
                try journal.commit()
                complete(&outcome)
                // The journal's buffer is empty now: what it refused it may take.
                if let refusal, refusal.code != .uncommitted { outcome.error = refusal }
            } catch {
                outcome.error = error
            }
        }
        outcome.changesBlocked = outcome.didWork && outcome.error?.code != blocked?.code
        blocked = outcome.error
        outcome.isFatal = outcome.error?.code == .closed || outcome.error?.code == .crashed
        return outcome
    }

    /// Forgets what is held.
    mutating func giveUp() -> [Submission] {
        journal.discardPending()
        blocked = nil
        defer { held = [] }
        return held
    }

    /// Appends until the journal refuses a record.
    private mutating func appendHeld(_ outcome: inout Outcome) -> StorageError? {
        var index = 0
        while index < held.count {
            if isTooLarge(held[index].group) {
                let error = StorageError(
                    .tooLarge, path: journal.directory, action: "append to")
                finish(held.remove(at: index), .failure(error), &outcome)
                continue
            }
            do throws(StorageError) {
                try append(&held[index])
            } catch {
                return error
            }
            index += 1
        }
        return nil
    }

    private func append(_ submission: inout Submission) throws(StorageError) {
        while submission.appended < submission.group.count {
            let position = try submission.group.with(submission.appended) {
                bytes, kind throws(StorageError) in
                try journal.append(bytes, kind: kind)
            }
            if submission.appended == 0 { submission.first = position }
            submission.appended += 1
        }
    }

    /// Completes those all of whose records were committed.
    private mutating func complete(_ outcome: inout Outcome) {
        var count = 0
        for submission in held {
            guard submission.appended == submission.group.count else { break }
            let end = submission.first + UInt64(submission.group.count)
            finish(submission, .success(submission.first..<end), &outcome)
            count += 1
        }
        held.removeFirst(count)
    }

    private func finish(
        _ submission: Submission, _ result: Result<Range<Journal.Position>, StorageError>,
        _ outcome: inout Outcome
    ) {
        outcome.completed.append((submission, result))
        outcome.completedBytes += submission.group.byteCount
    }

    private func isTooLarge(_ group: RecordGroup) -> Bool {
        group.largest > journal.options.maximumRecordBytes
    }
}
