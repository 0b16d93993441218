import DequeModule
import Synchronization

/// The dead letters of a run: a bounded list of the newest, and how many there were in all.
public final class DeadLetterQueue: Sendable {
    private struct Locked: Sendable {
        var letters = Deque<DeadLetter>()
        var total = 0
        var redriven = 0
        var discarded = 0
        var listener: (@Sendable (DeadLetter) -> Void)?
        var arrivals: [Int: AsyncStream<DeadLetter>.Continuation] = [:]
        var nextArrivals = 0
        var isFinished = false
    }

    private let locked = Mutex(Locked())
    private let capacity: Int

    package init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    /// How many events were given up since the start, also those no longer kept.
    public var total: Int { locked.withLock { $0.total } }

    /// How many have been pushed out of the list by newer ones.
    public var discarded: Int { locked.withLock { $0.discarded } }

    /// How many have been sent to their stages again.
    public var redriven: Int { locked.withLock { $0.redriven } }

    /// The newest dead letters, oldest first.
    public var letters: [DeadLetter] { locked.withLock { $0.letters.array } }

    /// The dead letters from now on, as they come, until the run ends.
    ///
    /// - Parameter capacity: How many wait for a reader that is slow; older ones give way, ``total`` counts them all the
    ///   same. Default 1,000.
    public func arrivals(capacity: Int = 1_000) -> AsyncStream<DeadLetter> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: DeadLetter.self, bufferingPolicy: .bufferingNewest(max(1, capacity)))
        let number = locked.withLock { locked -> Int? in
            if locked.isFinished { return nil }
            locked.nextArrivals += 1
            locked.arrivals[locked.nextArrivals] = continuation
            return locked.nextArrivals
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.locked.withLock { _ = $0.arrivals.removeValue(forKey: number) }
        }
        return stream
    }

    package func append(_ letter: DeadLetter) {
        let (listener, arrivals, numbered) = locked.withLock { locked in
            locked.total += 1
            var letter = letter
            letter.number = locked.total
            insert(letter, into: &locked)
            return (locked.listener, Array(locked.arrivals.values), letter)
        }
        for continuation in arrivals { continuation.yield(numbered) }
        listener?(numbered)
    }

    private func insert(_ letter: DeadLetter, into locked: inout Locked) {
        let index = locked.letters.firstIndex { $0.number > letter.number }
        locked.letters.insert(letter, at: index ?? locked.letters.count)
        if locked.letters.count > capacity {
            locked.letters.removeFirst()
            locked.discarded += 1
        }
    }

    /// Calls back for every dead letter from now on, on the thread of whoever gave it up.
    package func onLetter(_ listener: @escaping @Sendable (DeadLetter) -> Void) {
        locked.withLock { $0.listener = listener }
    }

    /// Ends what ``arrivals(capacity:)`` has returned.
    func finish() {
        let arrivals = locked.withLock { locked in
            locked.isFinished = true
            defer { locked.arrivals.removeAll() }
            return Array(locked.arrivals.values)
        }
        for continuation in arrivals { continuation.finish() }
    }

    // MARK: Sending again

    /// Sends an event that was given up to its stage again, behind what waits there, and takes it out of the list.
    ///
    /// The stage gets it as it got it the first time: with its event time, as one event more. If it fails again, a new
    /// dead letter says so. Behind the watermark it is late. It waits while the stage's mailbox is full.
    ///
    /// - Throws: A ``RedriveError``; `CancellationError`; ``MailboxOverflow`` when that is the mailbox's policy. The
    ///   letter is in the list then as before.
    public func redrive(_ letter: DeadLetter) async throws {
        guard let route = letter.route else {
            throw RedriveError(code: .noWayBack, letter: letter)
        }
        let taken = locked.withLock { locked -> Bool in
            guard let index = locked.letters.firstIndex(where: { $0.number == letter.number })
            else { return false }
            locked.letters.remove(at: index)
            return true
        }
        if !taken { throw RedriveError(code: .notInList, letter: letter) }
        do {
            try await route.mailbox.send(Delivery(redriven: route.batch, input: route.input))
            locked.withLock { $0.redriven += 1 }
        } catch {
            locked.withLock { insert(letter, into: &$0) }
            if error is MailboxClosed {
                throw RedriveError(code: .stageHasEnded, letter: letter)
            }
            throw error
        }
    }

    /// Sends the events of all letters in the list that can go back and for which `isIncluded` holds, oldest first.
    ///
    /// Letters that come meanwhile are left in the list: what fails again is not sent in circles.
    ///
    /// - Returns: How many were sent.
    /// - Throws: What ``redrive(_:)`` throws, with the letters before it sent.
    @discardableResult
    public func redriveAll(
        where isIncluded: (DeadLetter) -> Bool = { _ in true }
    ) async throws -> Int {
        var count = 0
        for letter in letters where letter.canBeRedriven && isIncluded(letter) {
            do {
                try await redrive(letter)
                count += 1
            } catch let error as RedriveError where error.code == .notInList {
                // Somebody else has sent it, or newer ones have pushed it out.
                continue
            }
        }
        return count
    }
}

/// How an event gets back to the stage that gave it up.
package struct DeadLetterRoute: Sendable {
    package let mailbox: Mailbox
    /// The head input at which the stage takes it.
    package let input: Int
    /// The event alone, with its time.
    package let batch: any AnyBatch

    package init(mailbox: Mailbox, input: Int, batch: any AnyBatch) {
        self.mailbox = mailbox
        self.input = input
        self.batch = batch
    }
}

/// An event could not be sent to its stage again; nothing has changed.
public struct RedriveError: Error, CustomStringConvertible {
    /// Why.
    public struct Code: Sendable, Hashable {
        private let name: String

        /// The letter holds what never was an event of the stage, such as bytes that don't decode, or one made inside it.
        ///
        /// Trying again is of no use; send it by a source.
        public static let noWayBack = Code(name: "noWayBack")
        /// The letter was sent again already, or newer ones have pushed it out of the list.
        public static let notInList = Code(name: "notInList")
        /// The stage takes nothing any more.
        public static let stageHasEnded = Code(name: "stageHasEnded")
    }

    /// Why.
    public let code: Code
    /// The letter.
    public let letter: DeadLetter

    /// What happened.
    public var description: String {
        switch code {
        case .noWayBack:
            """
            the dead letter of '\(letter.stage)' can't be sent to it again, because the stage did not get it as an \
            event; send it by a source: \(letter)
            """
        case .notInList: "the dead letter is not in the list any more: \(letter)"
        default: "the stage '\(letter.stage)' has ended and takes no event: \(letter)"
        }
    }
}
