/// A batch in the making: memory that belongs to one operator until it is a batch.
///
/// An array asks at each `append` whether somebody else holds it; here an event costs a comparison and a store.
/// ``gather(expecting:_:)`` has the events written straight into the array of the batch.
@usableFromInline
struct BatchWriter<Element>: ~Copyable {
    // Safety: nobody else uses the memory, of which `elements` has `capacity` slots and the first `count` of them
    // initialised, and `times`, unless it is nil, as many.
    @usableFromInline var elements: UnsafeMutablePointer<Element>
    @usableFromInline var times: UnsafeMutablePointer<EventTime>?
    /// The number of events.
    @usableFromInline var count = 0
    /// How many events there is room for.
    @usableFromInline var capacity: Int
    /// Whether the elements' memory is to be freed here.
    @usableFromInline var ownsMemory: Bool

    /// Creates a writer without memory, which it allocates as events come.
    @inlinable
    init() {
        self.init(in: UnsafeMutableBufferPointer(start: nil, count: 0))
    }

    /// Creates a writer that uses somebody else's memory as long as that is enough.
    @inlinable
    init(in buffer: UnsafeMutableBufferPointer<Element>) {
        // Without memory there is no slot, so the pointer is not used.
        elements =
            buffer.baseAddress
            ?? UnsafeMutablePointer(bitPattern: MemoryLayout<Element>.alignment).unsafelyUnwrapped
        capacity = buffer.count
        ownsMemory = false
    }

    @inlinable
    deinit {
        elements.deinitialize(count: count)
        if ownsMemory { elements.deallocate() }
        times?.deallocate()
    }

    /// The batch of what `body` writes; of about as many events as expected without a copy.
    @inlinable
    @inline(__always)
    static func gather(
        expecting expected: Int, _ body: (inout BatchWriter<Element>) throws -> Void
    ) rethrows -> Batch<Element> {
        var beyond: Batch<Element>?
        var times: ContiguousArray<EventTime> = []
        let elements = try ContiguousArray<Element>(unsafeUninitializedCapacity: expected) {
            buffer, initialized in
            var writer = BatchWriter(in: buffer)
            try body(&writer)
            // A batch that waits somewhere must not hold much more memory than its events need.
            if writer.ownsMemory || writer.count < expected / 4 {
                beyond = writer.take()
            } else {
                times = writer.takeTimes()
                initialized = writer.count
                writer.count = 0
            }
        }
        return beyond ?? Batch(unchecked: elements, times: times)
    }

    @inlinable var isEmpty: Bool { count == 0 }

    /// Adds an event with its event time; `EventTime.min` stands for none.
    @inlinable
    @inline(__always)
    mutating func append(_ element: consuming Element, at time: EventTime) {
        if count == capacity { grow() }
        (elements + count).initialize(to: element)
        if let times {
            times[count] = time
        } else if time != .min {
            startTimes()[count] = time
        }
        count &+= 1
    }

    /// Adds the events of a sequence, all with one event time; `send` empties the writer whenever it has `limit` events.
    @inlinable
    @inline(__always)
    mutating func append(
        all sequence: some Sequence<Element>, at time: EventTime, upTo limit: Int,
        _ send: (inout BatchWriter<Element>) throws -> Void
    ) rethrows {
        // A loop of its own pays from a few events on.
        if sequence.underestimatedCount <= 8 {
            for element in sequence {
                if count >= limit { try send(&self) }
                append(element, at: time)
            }
            return
        }
        var iterator = sequence.makeIterator()
        while fill(from: &iterator, at: time, upTo: limit), let next = iterator.next() {
            try send(&self)
            append(next, at: time)
        }
    }

    /// Adds what an iterator still has until there is a number of events; returns whether that is reached.
    @inlinable
    @inline(__always)
    mutating func fill(
        from iterator: inout some IteratorProtocol<Element>, at time: EventTime, upTo limit: Int
    ) -> Bool {
        while count < limit {
            if count == capacity { grow() }
            let first = elements
            let room = min(capacity, limit)
            var next = count
            while next < room, let element = iterator.next() {
                (first + next).initialize(to: element)
                next &+= 1
            }
            if let times = times ?? (time == .min ? nil : startTimes()) {
                (times + count).initialize(repeating: time, count: next &- count)
            }
            count = next
            if next < room { return false }
        }
        return true
    }

    @inlinable
    @inline(never)
    mutating func grow() {
        let newCapacity = max(16, capacity &* 2)
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: newCapacity)
        larger.moveInitialize(from: elements, count: count)
        if ownsMemory { elements.deallocate() }
        elements = larger
        ownsMemory = true
        if let times {
            let larger = UnsafeMutablePointer<EventTime>.allocate(capacity: newCapacity)
            larger.update(from: times, count: count)
            times.deallocate()
            self.times = larger
        }
        capacity = newCapacity
    }

    @inlinable
    @inline(never)
    mutating func startTimes() -> UnsafeMutablePointer<EventTime> {
        let column = UnsafeMutablePointer<EventTime>.allocate(capacity: capacity)
        column.initialize(repeating: .min, count: count)
        times = column
        return column
    }

    /// The events so far as a batch; the writer is empty then, and keeps its memory.
    ///
    /// - Complexity: O(events), as one copy.
    @inlinable
    mutating func take() -> Batch<Element> {
        let taken = count
        if taken == 0 { return Batch() }
        let times = takeTimes()
        count = 0
        let batch = ContiguousArray<Element>(unsafeUninitializedCapacity: taken) {
            buffer, initialized in
            buffer.baseAddress?.moveInitialize(from: elements, count: taken)
            initialized = taken
        }
        return Batch(unchecked: batch, times: times)
    }

    @inlinable
    func takeTimes() -> ContiguousArray<EventTime> {
        guard let times else { return [] }
        return ContiguousArray(UnsafeBufferPointer(start: times, count: count))
    }
}

/// How many events an operator is likely to make of a batch: as many for each as the last time, and an eighth more.
@usableFromInline
struct OutputEstimate {
    @usableFromInline var inputs = 1
    @usableFromInline var outputs = 0

    @inlinable
    init() {}

    @inlinable
    mutating func note(inputs: Int, outputs: Int) {
        self.inputs = max(inputs, 1)
        self.outputs = outputs
    }

    /// - Parameter limit: An estimate is at most this.
    @inlinable
    func outputs(ofInputs count: Int, atMost limit: Int) -> Int {
        let (product, overflows) = outputs.multipliedReportingOverflow(by: count)
        if overflows { return limit }
        let likely = product / inputs
        return min(likely &+ likely / 8 &+ 1, limit)
    }
}
