/// A binary heap whose root is the smallest element, after Williams (1964).
@usableFromInline
struct BinaryHeap<Element: Comparable> {
    @usableFromInline var elements: ContiguousArray<Element> = []

    @inlinable
    init() {}

    /// - Complexity: O(n).
    @inlinable
    init(_ elements: ContiguousArray<Element>) {
        self.elements = elements
        order()
    }

    @inlinable
    var count: Int { elements.count }

    @inlinable
    var min: Element? { elements.first }

    /// - Complexity: O(log n), O(1) when elements arrive in order.
    @inlinable
    mutating func insert(_ element: Element) {
        elements.append(element)
        elements.withUnsafeMutableBufferPointer { buffer in
            var child = buffer.count &- 1
            while child > 0 {
                let parent = (child &- 1) >> 1
                guard buffer[child] < buffer[parent] else { break }
                buffer.swapAt(child, parent)
                child = parent
            }
        }
    }

    /// - Complexity: O(log n).
    @inlinable
    mutating func popMin() -> Element? {
        guard let last = elements.popLast() else { return nil }
        guard let root = elements.first else { return last }
        elements[0] = last
        elements.withUnsafeMutableBufferPointer { Self.siftDown($0, from: 0) }
        return root
    }

    /// Keeps the elements that satisfy `isIncluded`.
    ///
    /// - Complexity: O(n).
    @inlinable
    mutating func filter(_ isIncluded: (Element) -> Bool) {
        elements.removeAll { !isIncluded($0) }
        order()
    }

    @inlinable
    mutating func order() {
        elements.withUnsafeMutableBufferPointer { buffer in
            for parent in (0..<(buffer.count / 2)).reversed() {
                Self.siftDown(buffer, from: parent)
            }
        }
    }

    @inlinable
    static func siftDown(_ buffer: UnsafeMutableBufferPointer<Element>, from start: Int) {
        var parent = start
        while true {
            var child = parent &* 2 &+ 1
            guard child < buffer.count else { return }
            if child &+ 1 < buffer.count, buffer[child &+ 1] < buffer[child] { child &+= 1 }
            guard buffer[child] < buffer[parent] else { return }
            buffer.swapAt(child, parent)
            parent = child
        }
    }
}
