/// What happens to an event that arrives at a full mailbox.
public struct OverflowPolicy: Sendable, CustomStringConvertible {
    enum Kind: Sendable {
        case suspend, dropOldest, dropNewest, fail
        case conflate(@Sendable (any AnyBatch, any AnyBatch) -> any AnyBatch)
        case spill(directory: String, limit: Int)
    }

    let kind: Kind

    /// The sender waits until there is room: backpressure, the default.
    ///
    /// Nothing is lost.
    public static let suspend = OverflowPolicy(kind: .suspend)

    /// The oldest waiting events give way; they are counted in `weir_dropped_total{reason="overflow"}`.
    public static let dropOldest = OverflowPolicy(kind: .dropOldest)

    /// The arriving events are dropped; they are counted in `weir_dropped_total{reason="overflow"}`.
    public static let dropNewest = OverflowPolicy(kind: .dropNewest)

    /// The sender fails with ``MailboxOverflow``, which its supervisor handles.
    public static let fail = OverflowPolicy(kind: .fail)

    /// Arriving events go to files until the stage has caught up; when those are full as well, the
    /// sender waits.
    ///
    /// Nothing is lost while the process lives; the files have no names, and are gone with it. The
    /// events have to be Codable. Writing takes some hundred nanoseconds per event, done by whoever
    /// sends.
    ///
    /// - Parameters:
    ///   - directory: Where the files are. Default: `/tmp`.
    ///   - bytes: How much they hold at most. Default 1 GiB.
    public static func spill(
        to directory: String = "/tmp", limit bytes: Int = 1 << 30
    ) -> OverflowPolicy {
        OverflowPolicy(kind: .spill(directory: directory, limit: max(1, bytes)))
    }

    /// What arrives is merged into what waits: the first box given, which stays in the mailbox as it is returned.
    @usableFromInline
    static func conflating(
        _ merge:
            @escaping @Sendable (_ waiting: any AnyBatch, _ arriving: any AnyBatch) -> any AnyBatch
    ) -> OverflowPolicy {
        OverflowPolicy(kind: .conflate(merge))
    }

    /// Whether the events must be Codable.
    var needsCodable: Bool {
        if case .spill = kind { true } else { false }
    }

    /// The policy's name.
    public var description: String {
        switch kind {
        case .suspend: "suspend"
        case .dropOldest: "dropOldest"
        case .dropNewest: "dropNewest"
        case .fail: "fail"
        case .conflate: "conflate"
        case .spill: "spill"
        }
    }
}

/// The bounds of a stage's mailbox.
public struct MailboxPolicy: Sendable {
    /// The number of events that may wait.
    ///
    /// At least 1.
    public var capacity: Int

    /// What happens to an event that finds the mailbox full.
    public var overflow: OverflowPolicy

    /// A mailbox of at most `capacity` events.
    public static func bounded(
        _ capacity: Int, overflow: OverflowPolicy = .suspend
    ) -> MailboxPolicy {
        MailboxPolicy(capacity: capacity, overflow: overflow)
    }

    /// The mailbox a stage has when nothing is said: 8,192 events, senders wait.
    public static let `default` = MailboxPolicy.bounded(8_192)
}

/// An event arrived at a full mailbox whose overflow policy is ``OverflowPolicy/fail``.
public struct MailboxOverflow: Error, CustomStringConvertible {
    /// The stage whose mailbox is full.
    public let stage: String

    /// The mailbox's capacity in events.
    public let capacity: Int

    /// What happened and what to do about it.
    public var description: String {
        """
        the mailbox of stage '\(stage)' is full (\(capacity) events) and its overflow policy is 'fail': \
        raise the capacity, or choose .suspend, .dropOldest or .dropNewest
        """
    }
}
