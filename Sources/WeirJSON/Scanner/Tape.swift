/// A growing buffer of tokens that starts in memory it does not own (the caller's stack).
struct Tape {
    private(set) var tokens: UnsafeMutablePointer<Token>
    private(set) var count = 0
    private var capacity: Int
    private var isOwned = false

    @inline(__always)
    init(_ initial: UnsafeMutableBufferPointer<Token>) {
        if let base = initial.baseAddress {
            tokens = base
        } else {
            tokens = .allocate(capacity: initial.count)
            isOwned = true
        }
        capacity = initial.count
    }

    /// Makes room for `more` tokens.
    @inline(__always)
    mutating func reserve(_ more: Int) {
        if count + more > capacity { grow() }
    }

    /// Appends a token, for which there must be room.
    @inline(__always)
    mutating func append(_ token: Token) {
        (tokens + count).initialize(to: token)
        count += 1
    }

    /// Ends a container and gives the index of the one around it, or -1.
    @inline(__always)
    func close(_ container: Int, count elements: Int, keyOrder: UInt64) -> Int {
        let parent = tokens[container].extent
        tokens[container].payload = UInt64(count) | UInt64(container + 2) << 32
        tokens[container + 1].extentAndKind = UInt32(truncatingIfNeeded: elements)
        tokens[container + 1].payload = keyOrder
        return parent == Self.noParent ? -1 : parent
    }

    /// What -1 becomes in the 28 bits of a token's extent.
    static let noParent = (1 << 28) - 1

    func free() {
        if isOwned { tokens.deallocate() }
    }

    @inline(never)
    private mutating func grow() {
        let larger = UnsafeMutablePointer<Token>.allocate(capacity: capacity * 2 + 16)
        larger.update(from: tokens, count: count)
        free()
        tokens = larger
        capacity = capacity * 2 + 16
        isOwned = true
    }
}
