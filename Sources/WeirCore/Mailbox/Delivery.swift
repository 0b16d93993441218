/// What travels in band besides events, in order with them.
@usableFromInline
package enum Signal: Sendable, Equatable {
    /// No event at or before this time is expected any more.
    case watermark(EventTime)
    /// Nothing is expected for now: the input does not hold event time back until it sends again.
    case idle
    /// The input has sent its last event.
    case end
}

/// One entry of a mailbox: a batch or a signal, and the input channel it came by.
@usableFromInline
package struct Delivery: Sendable {
    @usableFromInline
    package enum Item: Sendable {
        case batch(any AnyBatch)
        case signal(Signal)
        /// Everything before it belongs to a checkpoint, nothing behind it does.
        case barrier(Barrier)

        var weight: Int {
            switch self {
            case .batch(let batch): batch.count
            case .signal, .barrier: 0
            }
        }
    }

    package var channel: Int
    package var item: Item {
        didSet { weight = item.weight }
    }
    /// The number of events, which is what counts against a mailbox's capacity; signals are free.
    package private(set) var weight: Int

    @usableFromInline
    package init(channel: Int, item: Item) {
        self.channel = channel
        weight = item.weight
        self.item = item
    }

    /// An event that its stage has given up before, back at one of the stage's inputs.
    ///
    /// It came by none of the channels and says nothing about them.
    package init(redriven batch: any AnyBatch, input: Int) {
        channel = -1 - input
        weight = batch.count
        item = .batch(batch)
    }

    /// Whether it is neither events nor a barrier.
    var isSignal: Bool { if case .signal = item { true } else { false } }

    /// The input of a redriven event; nil for what came by a channel.
    package var redrivenInput: Int? { channel < 0 ? -1 - channel : nil }
}
