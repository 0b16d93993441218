// What operators do to the events of a batch that nobody else holds.
extension ContiguousArray {
    /// Whether the storage belongs to this array alone, so that changing it copies nothing.
    @inlinable
    mutating func isUniquelyReferenced() -> Bool {
        withUnsafeMutablePointer(to: &self) { array in
            // Safety: an array is one reference to its storage object.
            array.withMemoryRebound(to: AnyObject.self, capacity: 1) {
                isKnownUniquelyReferenced(&$0.pointee)
            }
        }
    }

    /// Puts what `transform` makes of each element in its place; `Output` is `Element`.
    ///
    /// After an error the elements before the one that failed are new, the others as they were.
    @inlinable
    mutating func replaceEach<Output, Failure: Error>(
        _ transform: (Element) throws(Failure) -> Output
    ) throws(Failure) {
        var failure: Failure?
        withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            let end = buffer.count
            // Safety: the two types are one; each slot is moved out of and filled again.
            let output = UnsafeMutableRawPointer(start).assumingMemoryBound(to: Output.self)
            for index in 0..<end {
                let element = (start + index).move()
                do throws(Failure) {
                    (output + index).initialize(to: try transform(element))
                } catch {
                    (start + index).initialize(to: element)
                    failure = error
                    return
                }
            }
        }
        if let failure { throw failure }
    }

    /// `map` that writes straight into the new array's storage.
    @inlinable
    func mapped<Output, Failure: Error>(
        _ transform: (Element) throws(Failure) -> Output
    ) throws(Failure) -> ContiguousArray<Output> {
        var failure: Failure?
        let result = ContiguousArray<Output>(unsafeUninitializedCapacity: count) {
            buffer, initialized in
            guard let start = buffer.baseAddress else { return }
            for index in 0..<count {
                do throws(Failure) {
                    // Safety: `index` is below the capacity asked for, and each slot is written once.
                    (start + index).initialize(to: try transform(self[index]))
                    initialized = index + 1
                } catch {
                    failure = error
                    return
                }
            }
        }
        if let failure { throw failure }
        return result
    }

    /// `compactMap` that writes straight into the new array's storage, and keeps those of `times`
    /// whose elements give something; `times` is empty or has as many as the array.
    @inlinable
    func compactMapped<Output, Failure: Error>(
        times: inout ContiguousArray<EventTime>,
        _ transform: (Element) throws(Failure) -> Output?
    ) throws(Failure) -> ContiguousArray<Output> {
        let hasTimes = !times.isEmpty
        var failure: Failure?
        let result = ContiguousArray<Output>(unsafeUninitializedCapacity: count) {
            buffer, initialized in
            guard let start = buffer.baseAddress else { return }
            var kept = 0
            for index in 0..<count {
                do throws(Failure) {
                    guard let output = try transform(self[index]) else { continue }
                    // Safety: `kept` is at most `index`, and each slot is written once.
                    (start + kept).initialize(to: output)
                    if hasTimes, kept != index { times[kept] = times[index] }
                    kept &+= 1
                    initialized = kept
                } catch {
                    failure = error
                    return
                }
            }
        }
        if let failure { throw failure }
        if hasTimes { times.removeLast(times.count - result.count) }
        return result
    }

    /// Keeps the elements that satisfy a condition, in their order, and as many of `times`.
    ///
    /// After an error the array has the same elements in some order: for batches that are given up.
    @inlinable
    mutating func keep<Failure: Error>(
        times: inout ContiguousArray<EventTime>,
        where isIncluded: (Element) throws(Failure) -> Bool
    ) throws(Failure) {
        let hasTimes = !times.isEmpty
        let end = count
        var kept = 0
        var failure: Failure?
        withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            for index in 0..<end {
                do throws(Failure) {
                    let isKept = try isIncluded(start[index])
                    if _isPOD(Element.self) {
                        // Without a branch: what is not kept is written over by the next one.
                        start[kept] = start[index]
                        if hasTimes { times[kept] = times[index] }
                        kept += isKept ? 1 : 0
                    } else if isKept {
                        if kept != index {
                            buffer.swapAt(kept, index)
                            if hasTimes { times[kept] = times[index] }
                        }
                        kept += 1
                    }
                } catch {
                    failure = error
                    return
                }
            }
        }
        if let failure { throw failure }
        removeLast(end - kept)
        if hasTimes { times.removeLast(end - kept) }
    }
}
