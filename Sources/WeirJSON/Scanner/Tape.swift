/// A growing buffer of tokens, which its owner frees.
struct Tape {
    private(set) var tokens: UnsafeMutablePointer<Token>
    private(set) var count = 0
    private(set) var capacity: Int

    init(capacity: Int) {
        tokens = .allocate(capacity: capacity)
        self.capacity = capacity
    }

    /// Makes room for the tokens of a key, and of the value or container after it.
    @inline(__always)
    mutating func reserve() {
        if count + 4 > capacity { self = grown() }
    }

    /// Appends a token, for which there must be room.
    @inline(__always)
    mutating func append(_ token: Token) {
        (tokens + count).initialize(to: token)
        count += 1
    }

    mutating func removeAll() { count = 0 }

    /// What -1 becomes in the 28 bits of a token's extent.
    static let noParent = (1 << 28) - 1

    @inline(never)
    private func grown() -> Tape {
        var larger = Tape(capacity: capacity * 2)
        larger.tokens.update(from: tokens, count: count)
        larger.count = count
        tokens.deallocate()
        return larger
    }
}
