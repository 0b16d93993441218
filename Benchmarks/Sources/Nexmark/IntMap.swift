/// A hash table of positive integers, as one writes it for a loop: open addressing, Fibonacci hashing.
struct IntMap<Value> {
    private var keys: ContiguousArray<Int>
    private var values: ContiguousArray<Value>
    private let initial: Value
    private(set) var count = 0

    /// - Parameter initial: The value of a key that is asked for the first time.
    init(_ initial: Value) {
        self.initial = initial
        keys = ContiguousArray(repeating: -1, count: 16)
        values = ContiguousArray(repeating: initial, count: 16)
    }

    @inline(__always)
    private func slot(_ key: Int) -> Int {
        let mask = keys.count &- 1
        var slot =
            Int(truncatingIfNeeded: UInt(bitPattern: key) &* 0x9E37_79B9_7F4A_7C15 >> 32) & mask
        while keys[slot] != key, keys[slot] != -1 { slot = (slot &+ 1) & mask }
        return slot
    }

    @inline(__always)
    func find(_ key: Int) -> Value? {
        let slot = slot(key)
        return keys[slot] == key ? values[slot] : nil
    }

    /// The slot of a key, which is put in if it isn't there.
    @inline(__always)
    private mutating func place(_ key: Int) -> Int {
        let place = slot(key)
        if keys[place] == key { return place }
        if count &* 4 >= keys.count &* 3 { grow() }
        let free = slot(key)
        keys[free] = key
        count &+= 1
        return free
    }

    @inline(__always)
    mutating func update(_ key: Int, _ body: (inout Value) -> Void) {
        let place = place(key)
        body(&values[place])
    }

    @inline(__always)
    subscript(key: Int) -> Value {
        get { find(key) ?? initial }
        _modify {
            let place = place(key)
            yield &values[place]
        }
    }

    func forEach(_ body: (Int, Value) -> Void) {
        for slot in keys.indices where keys[slot] != -1 { body(keys[slot], values[slot]) }
    }

    private mutating func grow() {
        let (oldKeys, oldValues) = (keys, values)
        keys = ContiguousArray(repeating: -1, count: oldKeys.count * 2)
        values = ContiguousArray(repeating: initial, count: oldKeys.count * 2)
        for old in oldKeys.indices where oldKeys[old] != -1 {
            let slot = slot(oldKeys[old])
            keys[slot] = oldKeys[old]
            values[slot] = oldValues[old]
        }
    }
}
