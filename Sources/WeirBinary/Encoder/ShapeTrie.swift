/// The lists of names that keyed values had so far, as a trie that each value walks down.
///
/// A value that has the same names in the same order as the one before takes one comparison for
/// each name. Where it ends is its shape; shapes get their numbers anew in each document.
struct ShapeTrie {
    struct Node {
        let key: UInt32
        let parent: UInt32
        let fields: UInt32
        let name: UnsafeMutableBufferPointer<UInt8>
        /// The key that was next the last time, and where it led.
        var expectedKey: UInt32 = .max
        var expected: UInt32 = 0
        var firstChild: UInt32 = 0
        var sibling: UInt32 = 0
        /// The document in which this is a shape, and its number there.
        var document: UInt32 = 0
        var shape: UInt32 = 0
        /// The shape as it stands in a document, once it was needed.
        var text: UnsafeMutableBufferPointer<UInt8>?
    }

    fileprivate var nodes = UnsafeMutablePointer<Node>.allocate(capacity: 64)
    private var capacity = 64
    fileprivate var ids: [String: UInt32] = [:]
    private var count = 0
    private var document: UInt32 = 0
    /// The nodes of the shapes of this document, in the order of their numbers.
    private(set) var shapes: [UInt32] = []
    /// The bytes of all shapes of this document.
    private(set) var textCount = 0

    /// From so many nodes on, values of further shapes are written with their names.
    static let nodesMaximum = 1 << 16

    init() {
        _ = makeRoot()
    }

    var isFull: Bool { count >= Self.nodesMaximum }

    mutating func startDocument() {
        document &+= 1
        textCount = 0
        shapes.removeAll(keepingCapacity: shapes.count < 1_024)
    }

    mutating func makeRoot() -> UInt32 {
        append(
            Node(
                key: .max, parent: 0, fields: 0,
                name: UnsafeMutableBufferPointer(start: nil, count: 0)))
    }

    private mutating func append(_ node: Node) -> UInt32 {
        if count == capacity {
            let larger = UnsafeMutablePointer<Node>.allocate(capacity: capacity * 2)
            larger.moveInitialize(from: nodes, count: count)
            nodes.deallocate()
            nodes = larger
            capacity *= 2
        }
        (nodes + count).initialize(to: node)
        count += 1
        return UInt32(truncatingIfNeeded: count - 1)
    }

    /// Where a key leads if it is the expected one.
    @inline(__always)
    func expected(_ key: UInt32, after node: UInt32) -> UInt32? {
        // Safety: nodes are numbered by this trie and never removed, here and below.
        let found = nodes + Int(node)
        return found.pointee.expectedKey == key ? found.pointee.expected : nil
    }

    /// Where a key leads; nil if its name has been there before.
    mutating func step(
        _ key: UInt32, after node: UInt32, name: @autoclosure () -> String
    ) -> UInt32? {
        var child = nodes[Int(node)].firstChild
        while child != 0, nodes[Int(child)].key != key { child = nodes[Int(child)].sibling }
        if child == 0 {
            guard let made = makeChild(key, of: node, name: name()) else { return nil }
            child = made
        }
        nodes[Int(node)].expectedKey = key
        nodes[Int(node)].expected = child
        return child
    }

    private mutating func makeChild(_ key: UInt32, of node: UInt32, name: String) -> UInt32? {
        let text = Array(name.utf8)
        var ancestor = nodes[Int(node)]
        while ancestor.fields > 0 {
            if ancestor.name.elementsEqual(text) { return nil }
            ancestor = nodes[Int(ancestor.parent)]
        }
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.count)
        _ = copy.initialize(from: text)
        let parent = nodes[Int(node)]
        var child = Node(key: key, parent: node, fields: parent.fields + 1, name: copy)
        child.sibling = parent.firstChild
        let index = append(child)
        nodes[Int(node)].firstChild = index
        return index
    }

    /// The number of the shape that ends at a node.
    @inline(__always)
    mutating func shape(at node: UInt32) -> Int {
        let found = nodes + Int(node)
        if found.pointee.document == document { return Int(found.pointee.shape) }
        return number(node)
    }

    private mutating func number(_ node: UInt32) -> Int {
        nodes[Int(node)].document = document
        nodes[Int(node)].shape = UInt32(truncatingIfNeeded: shapes.count)
        shapes.append(node)
        textCount += text(of: node).count
        return shapes.count - 1
    }

    /// A shape as it stands in a document: the number of names, and each with its length.
    mutating func text(of node: UInt32) -> UnsafeBufferPointer<UInt8> {
        if let text = nodes[Int(node)].text { return UnsafeBufferPointer(text) }
        var names: [UnsafeMutableBufferPointer<UInt8>] = []
        var ancestor = nodes[Int(node)]
        while ancestor.fields > 0 {
            names.append(ancestor.name)
            ancestor = nodes[Int(ancestor.parent)]
        }
        var text: [UInt8] = []
        Self.append(names.count, to: &text)
        for name in names.reversed() {
            Self.append(name.count, to: &text)
            text += name
        }
        // Never freed, as the trie is not.
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.count)
        _ = copy.initialize(from: text)
        nodes[Int(node)].text = copy
        return UnsafeBufferPointer(copy)
    }

    private static func append(_ count: Int, to text: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Varint.countMaximum) { room in
            guard let start = room.baseAddress else { return }
            text += room.prefix(Varint.write(UInt64(count), to: start))
        }
    }
}

extension ShapeTrie {
    /// The last name of the list that ends at a node.
    func name(at node: UInt32) -> String {
        String(decoding: nodes[Int(node)].name, as: UTF8.self)
    }
}

/// Shapes of trees start at a root of their own, where names have numbers.
extension ShapeTrie {
    mutating func id(of name: String) -> UInt32 {
        if let id = ids[name] { return id }
        let id = UInt32(truncatingIfNeeded: ids.count)
        ids[name] = id
        return id
    }
}
