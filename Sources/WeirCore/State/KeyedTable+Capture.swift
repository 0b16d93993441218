extension KeyedTable {
    /// Starts a snapshot of the table as it is now, at the cost of marking 128 groups.
    ///
    /// `capture` is called once for each group that has entries: before the first change to the
    /// group, or when ``captureNextGroup()`` reaches it, whichever is earlier. So it sees every
    /// group as it was at this call, and no pause is longer than capturing one group. It reads with
    /// ``forEach(inGroup:_:)`` and changes nothing. A snapshot that is not complete is abandoned
    /// for the new one.
    ///
    /// - Precondition: No batch is open.
    @inlinable
    package func beginCapture(_ capture: @escaping (_ group: Int) -> Void) {
        precondition(shared.pointee.activeEpoch == 0, "A snapshot starts between batches.")
        shared.pointee.capture = capture
        for index in 0..<KeyGroup.count { groups[index].awaitsCapture = groups[index].count > 0 }
    }

    /// Captures one more group of the snapshot that has begun; false when none is left.
    @inlinable
    package func captureNextGroup() -> Bool {
        for index in 0..<KeyGroup.count where groups[index].awaitsCapture {
            capture(groups + index)
            return true
        }
        shared.pointee.capture = nil
        return false
    }

    @inlinable
    @inline(never)
    func capture(_ group: UnsafeMutablePointer<Group>) {
        let wasBusy = shared.pointee.isBusy
        shared.pointee.isBusy = true
        defer { shared.pointee.isBusy = wasBusy }
        group.pointee.awaitsCapture = false
        shared.pointee.capture?(group.pointee.index)
    }
}
