/// A value as a tree, for values that fill their containers in another order than they open them.
///
/// Of equal keys the last one written counts.
final class TreeNode {
    enum Content {
        case empty
        case leaf((inout WriterStorage) -> Void)
        case array
        case object
    }

    var content = Content.empty
    let path: [any CodingKey]
    private let maximumDepth: Int
    private(set) var children: [TreeNode] = []
    private var names: [String] = []
    private var members: [String: Int] = [:]
    /// Whether all names are cases of enums, so that they make a shape.
    private var isFixed = true

    init(_ path: [any CodingKey], maximumDepth: Int) {
        self.path = path
        self.maximumDepth = maximumDepth
    }

    func becomeObject() {
        if case .object = content { return }
        reset(.object)
    }

    func becomeArray() {
        if case .array = content { return }
        reset(.array)
    }

    private func reset(_ content: Content) {
        self.content = content
        (children, names, members, isFixed) = ([], [], [:], true)
    }

    func checkDepth() throws {
        guard path.count <= maximumDepth else { throw Writer.tooDeep(maximumDepth) }
    }

    /// A member that is not yet one, so that nothing stays of a value whose encoding fails.
    func newMember(_ name: String) -> TreeNode {
        TreeNode(path + [PathKey.name(name)], maximumDepth: maximumDepth)
    }

    /// An element that is not yet one.
    func newElement() -> TreeNode {
        TreeNode(path + [PathKey.index(children.count)], maximumDepth: maximumDepth)
    }

    func add(_ node: TreeNode, as name: String, isFixed: Bool) {
        becomeObject()
        self.isFixed = self.isFixed && isFixed
        if let index = members[name] {
            children[index] = node
        } else {
            members[name] = children.count
            names.append(name)
            children.append(node)
        }
    }

    func add(_ node: TreeNode) {
        becomeArray()
        children.append(node)
    }

    func member(_ name: String, isFixed: Bool) -> TreeNode {
        let node = newMember(name)
        add(node, as: name, isFixed: isFixed)
        return node
    }

    func element() -> TreeNode {
        let node = newElement()
        add(node)
        return node
    }

    func write(to writer: Writer, depth: Int) {
        let storage = writer.storage
        if depth >= maximumDepth, !children.isEmpty {
            storage.pointee.isTooDeep = true
            return
        }
        switch content {
        case .empty: storage.pointee.writeEmptyMap()
        case .leaf(let write): write(&storage.pointee)
        case .array:
            _ = storage.pointee.push(.array, reserved: 2, keys: nil)
            for child in children {
                storage.pointee.leave(to: depth + 1)
                storage.pointee.open[depth].count += 1
                child.write(to: writer, depth: depth + 1)
            }
            storage.pointee.leave(to: depth)
        case .object:
            let isShape = isFixed && !storage.pointee.shapes.isFull
            _ = storage.pointee.push(isShape ? .object : .map, reserved: 2, keys: nil)
            for (name, child) in zip(names, children) {
                let id = isShape ? storage.pointee.shapes.id(of: name) : .max
                storage.pointee.nextMember(name, id: id, in: depth)
                child.write(to: writer, depth: depth + 1)
            }
            storage.pointee.leave(to: depth)
        }
    }
}
