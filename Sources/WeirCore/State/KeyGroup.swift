/// The fixed shares that the keys of a keyed stage are divided into, the unit of rescaling and of
/// snapshots.
///
/// A key's group never changes, so a checkpoint that was written by N parallel instances loads into
/// any other number: each instance owns a contiguous range of groups, as in Apache Flink.
public enum KeyGroup {
    /// How many key groups there are, and so the largest useful parallelism of a stage.
    public static let count = 128

    /// The group of a key with this ``stableHash(_:)``: its top seven bits.
    @inlinable
    public static func keyGroup(ofHash hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash >> 57)
    }

    /// The instance, from 0, that owns `group` when a stage runs as `parallelism` instances.
    ///
    /// - Precondition: `group` is in `0..<count` and `parallelism` in `1...count`.
    @inlinable
    public static func instance(ofGroup group: Int, parallelism: Int) -> Int {
        precondition((0..<count).contains(group), "There are 128 key groups, from 0.")
        precondition((1...count).contains(parallelism), "A keyed stage runs as 1 to 128 instances.")
        return group &* parallelism / count
    }

    /// The groups that `instance` owns when a stage runs as `parallelism` instances.
    ///
    /// - Precondition: `instance` is in `0..<parallelism` and `parallelism` in `1...count`.
    @inlinable
    public static func groups(ofInstance instance: Int, parallelism: Int) -> Range<Int> {
        precondition((1...count).contains(parallelism), "A keyed stage runs as 1 to 128 instances.")
        precondition((0..<parallelism).contains(instance), "Instances count from 0.")
        let first = (instance &* count &+ parallelism &- 1) / parallelism
        let next = ((instance &+ 1) &* count &+ parallelism &- 1) / parallelism
        return first..<next
    }
}
