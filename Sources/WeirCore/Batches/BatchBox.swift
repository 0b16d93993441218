/// What can be said of a batch on its way without knowing its element type.
///
/// Safety: a box has one holder at a time, its maker until it is sent, then the mailbox, then the
/// stage that took it; only that one writes.
@usableFromInline
package class BatchHeader: @unchecked Sendable {
    /// The number of events; a field, so that whoever counts them needs no type metadata.
    @exclusivity(unchecked) @usableFromInline package final var count: Int
    /// Where the source is behind the batch, when it comes straight from one.
    @exclusivity(unchecked) @usableFromInline package final var position: SourcePosition?
    /// Whether the batch that follows belongs to the same position of the source.
    @exclusivity(unchecked) @usableFromInline package final var isContinued = false

    @inlinable
    init(count: Int, position: SourcePosition?) {
        self.count = count
        self.position = position
    }

    /// Stands for the events of another batch too, which are gone.
    func takePlace(from other: BatchHeader) {
        if let position = other.position { self.position = position }
        isContinued = other.isContinued
    }
}

/// A batch whose element type is known to both ends of an edge only.
@usableFromInline
package protocol AnyBatch: BatchHeader {
    func slice(_ range: Range<Int>) -> any AnyBatch
    /// This batch's events and those of another one of the same type.
    func joined(with other: any AnyBatch) -> any AnyBatch
    /// The event at a position, for dead letters.
    func event(at index: Int) -> any Sendable
    func time(at index: Int) -> EventTime
    /// How batches of this type go to disk and back; nil when their events aren't Codable.
    var spillCodec: SpillCodec? { get }
}

/// The carrier of a batch on its way through a mailbox.
///
/// Safety: see ``BatchHeader``.
@usableFromInline
package final class BatchBox<Element: Sendable>: BatchHeader, AnyBatch, @unchecked Sendable {
    @exclusivity(unchecked) @usableFromInline package var batch: Batch<Element>

    @inlinable
    package init(_ batch: consuming Batch<Element>, position: SourcePosition? = nil) {
        let count = batch.count
        self.batch = batch
        super.init(count: count, position: position)
    }

    /// Gives the batch away, so that its new owner can change it in place.
    @inlinable
    func take() -> Batch<Element> {
        var taken = Batch<Element>()
        swap(&taken, &batch)
        return taken
    }

    /// Puts another batch into a box whose own has been taken.
    @inlinable
    func refill(_ batch: consuming Batch<Element>) {
        count = batch.count
        position = nil
        self.batch = batch
    }

    @usableFromInline package var spillCodec: SpillCodec? { SpillCodec(Element.self) }

    @usableFromInline
    package func slice(_ range: Range<Int>) -> any AnyBatch {
        if range == 0..<count { return self }
        let isLast = range.upperBound == batch.count
        let part = BatchBox(batch.slice(range), position: isLast ? position : nil)
        part.isContinued = isContinued || !isLast && position != nil
        return part
    }

    @usableFromInline
    package func joined(with other: any AnyBatch) -> any AnyBatch {
        let other = unsafeDowncast(other, to: BatchBox<Element>.self)
        var joined = batch
        joined.append(contentsOf: other.batch)
        let box = BatchBox(joined, position: other.position ?? position)
        box.isContinued = other.isContinued
        return box
    }

    @usableFromInline
    package func event(at index: Int) -> any Sendable { batch.elements[index] }

    @usableFromInline
    package func time(at index: Int) -> EventTime { batch.time(at: index) }
}
