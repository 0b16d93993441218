import Testing
import WeirCore
import WeirTesting

@Suite struct `A queue that follows its batch` {
    @Test func `a batch that fails leaves it as it was`() {
        let queue = TransactionalQueue<Int>()
        queue.append(contentsOf: [1, 2, 3])
        queue.commitBatch()
        queue.beginBatch()
        queue.append(4)
        queue.removeFirst(2)
        #expect(queue.popFirst() == 3)
        #expect(queue.first == 4)
        queue.removeAll()
        queue.append(5)
        #expect(Array(queue.contents) == [5])
        queue.rollbackBatch()
        #expect(Array(queue.contents) == [1, 2, 3])
    }

    @Test func `a batch that succeeds changes it for good`() {
        let queue = TransactionalQueue<Int>()
        queue.append(contentsOf: [1, 2, 3])
        queue.beginBatch()
        queue.removeFirst(2)
        queue.append(4)
        queue.commitBatch()
        queue.beginBatch()
        queue.rollbackBatch()
        #expect(Array(queue.contents) == [3, 4])
        queue.removeFirst(5)
        #expect(queue.isEmpty && queue.popFirst() == nil)
    }

    @Test(arguments: 1...40)
    func `agrees with a copy taken before each batch`(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let queue = TransactionalQueue<Int>()
        var model: [Int] = []
        for batch in 0..<60 {
            let before = model
            queue.beginBatch()
            for step in 0..<Int.random(in: 0...6, using: &random) {
                switch Int.random(in: 0...4, using: &random) {
                case 0:
                    #expect(queue.popFirst() == model.first)
                    model = Array(model.dropFirst())
                case 1:
                    queue.removeFirst(2)
                    model = Array(model.dropFirst(2))
                case 2 where step > 3:
                    queue.removeAll()
                    model = []
                default:
                    queue.append(batch * 10 + step)
                    model.append(batch * 10 + step)
                }
            }
            if Bool.random(using: &random) {
                queue.commitBatch()
            } else {
                queue.rollbackBatch()
                model = before
            }
            #expect(Array(queue.contents) == model)
            #expect(queue.count == model.count && queue.isEmpty == model.isEmpty)
        }
    }
}
