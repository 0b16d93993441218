internal import Synchronization

#if canImport(Darwin)
    internal import Darwin
#elseif canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Storage that can be used again by one coding call after the other.
protocol PooledStorage {
    init()
}

/// The storage that is not in use; there is as much as was in use at the same time.
///
/// Storage is never freed, so that a container that user code has kept past its call never points
/// to freed memory. What storage has learned of types is kept with it.
final class StoragePool<Storage: PooledStorage>: Sendable {
    /// A place for one idle storage, by its address; threads tend to have their own.
    private final class Slot: Sendable {
        let idle = Atomic<UInt>(0)
    }

    private static var slotCount: Int { 16 }
    private let slots: [Slot]
    private let others = Mutex<[UInt]>([])

    init() {
        slots = (0..<Self.slotCount).map { _ in Slot() }
    }

    @inline(__always)
    private var slot: Slot {
        // Thread handles are addresses: their low bits are alike, so a product mixes them.
        #if canImport(Darwin)
            let thread = UInt64(UInt(bitPattern: pthread_self()))
        #else
            let thread = UInt64(pthread_self())
        #endif
        return slots[Int(((thread >> 6) &* 0x9E37_79B9_7F4A_7C15) >> 60)]
    }

    func take() -> UnsafeMutablePointer<Storage> {
        let idle = slot.idle.exchange(0, ordering: .acquiring)
        // Safety: only addresses of storage that this pool allocated are ever put in a slot.
        if let storage = UnsafeMutablePointer<Storage>(bitPattern: idle) { return storage }
        return takeOther()
    }

    func put(_ storage: UnsafeMutablePointer<Storage>) {
        let address = UInt(bitPattern: storage)
        let (isPut, _) = slot.idle.compareExchange(
            expected: 0, desired: address, ordering: .releasing)
        if !isPut { others.withLock { $0.append(address) } }
    }

    @inline(never)
    private func takeOther() -> UnsafeMutablePointer<Storage> {
        let address = others.withLock { $0.popLast() } ?? 0
        // Safety: as above.
        if let storage = UnsafeMutablePointer<Storage>(bitPattern: address) { return storage }
        let storage = UnsafeMutablePointer<Storage>.allocate(capacity: 1)
        storage.initialize(to: Storage())
        return storage
    }
}
