/// A value of the document as a tree.
///
/// It serves values that fill their containers in another order than that of the text, and sorted
/// keys. Of equal keys the last one written counts.
final class TreeNode {
    enum Content {
        case empty
        case text([UInt8])
        case array([TreeNode])
        case object([String: TreeNode], order: [String])
    }

    var content = Content.empty
    let path: [any CodingKey]

    init(_ path: [any CodingKey]) { self.path = path }

    /// A member that is not yet one, so that nothing stays of a value whose encoding fails.
    func newMember(_ key: any CodingKey) -> TreeNode { TreeNode(path + [key]) }

    /// An element that is not yet one.
    func newElement() -> TreeNode { TreeNode(path + [PathKey.index(elements.count)]) }

    private var elements: [TreeNode] {
        if case .array(let elements) = content { elements } else { [] }
    }

    func add(_ node: TreeNode, as key: any CodingKey) {
        var (members, order): ([String: TreeNode], [String]) = ([:], [])
        if case .object(let found, let names) = content { (members, order) = (found, names) }
        content = .empty
        if members.updateValue(node, forKey: key.stringValue) == nil {
            order.append(key.stringValue)
        }
        content = .object(members, order: order)
    }

    func add(_ node: TreeNode) {
        var elements = elements
        content = .empty
        elements.append(node)
        content = .array(elements)
    }

    func member(_ key: any CodingKey) -> TreeNode {
        let node = newMember(key)
        add(node, as: key)
        return node
    }

    func element() -> TreeNode {
        let node = newElement()
        add(node)
        return node
    }

    func write(to writer: Writer, sortedKeys: Bool) {
        switch content {
        case .empty: writer.writeEmptyObject()
        case .text(let text): text.withUnsafeBufferPointer { writer.append($0) }
        case .array(let elements):
            writer.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { writer.append(UInt8(ascii: ",")) }
                element.write(to: writer, sortedKeys: sortedKeys)
            }
            writer.append(UInt8(ascii: "]"))
        case .object(let members, let order):
            writer.append(UInt8(ascii: "{"))
            var isFirst = true
            for name in sortedKeys ? order.sorted() : order {
                guard let member = members[name] else { continue }
                if !isFirst { writer.append(UInt8(ascii: ",")) }
                isFirst = false
                writer.write(name)
                writer.append(UInt8(ascii: ":"))
                member.write(to: writer, sortedKeys: sortedKeys)
            }
            writer.append(UInt8(ascii: "}"))
        }
    }
}
