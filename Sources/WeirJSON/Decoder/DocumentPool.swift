internal import Synchronization

#if canImport(Darwin)
    internal import Darwin
#elseif canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// The storage that is not in use; there is as much as documents were decoded at the same time.
///
/// Storage is never freed, so that a decoder that user code has kept never points to freed memory.
final class DocumentPool: Sendable {
    static let shared = DocumentPool()

    private typealias Storage = UnsafeMutablePointer<DocumentStorage>

    /// A place for one idle storage; threads tend to have their own.
    private final class Slot: Sendable {
        let idle = Atomic<UInt>(0)
    }

    private static let slotCount = 16
    private let slots = (0..<slotCount).map { _ in Slot() }
    private let others = Mutex<[UInt]>([])

    /// The slot of this thread.
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

    @inline(__always)
    func take() -> UnsafeMutablePointer<DocumentStorage> {
        let idle = slot.idle.exchange(0, ordering: .acquiring)
        // Safety: only addresses of storage that this pool allocated are ever put in a slot.
        if let storage = Storage(bitPattern: idle) { return storage }
        return takeOther()
    }

    @inline(__always)
    func put(_ storage: UnsafeMutablePointer<DocumentStorage>) {
        let address = UInt(bitPattern: storage)
        let (isPut, _) = slot.idle.compareExchange(
            expected: 0, desired: address, ordering: .releasing)
        if !isPut { others.withLock { $0.append(address) } }
    }

    @inline(never)
    private func takeOther() -> UnsafeMutablePointer<DocumentStorage> {
        if let address = others.withLock({ $0.popLast() }),
            let storage = Storage(bitPattern: address)
        {
            return storage
        }
        let storage = Storage.allocate(capacity: 1)
        storage.initialize(to: DocumentStorage())
        return storage
    }
}
