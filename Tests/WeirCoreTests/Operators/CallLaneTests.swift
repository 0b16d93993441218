import Synchronization
import Testing
import WeirCore
import WeirTesting

@Suite struct `Calls that share tasks` {
    @Test func `a call that cancels its own task cancels no other`() throws {
        let sink = SinkProbe<Bool>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(1...8))
                    .mapAsync(inFlight: 4) { value async in
                        if value == 1 { withUnsafeCurrentTask { $0?.cancel() } }
                        return Task.isCancelled
                    }.sink(sink.sink)
            })
        try test.run()
        try test.finish()
        #expect(sink.received == [true] + Array(repeating: false, count: 7))
    }

    @Test(arguments: [1, 3, 16])
    func `every call is made, whichever of them wait`(inFlight: Int) throws {
        let sink = SinkProbe<Int>()
        let waiting = Mutex<[CheckedContinuation<Void, Never>]>([])
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(1...200))
                    .mapAsync(inFlight: inFlight, ordered: false) { value async in
                        if value % 7 == 0 {
                            await withCheckedContinuation { continuation in
                                waiting.withLock { $0.append(continuation) }
                            }
                        }
                        return value
                    }.sink(sink.sink)
            })
        while sink.received.count < 200 {
            let before = sink.received.count
            try test.run()
            let released = waiting.withLock { $0.popLast() }
            released?.resume()
            #expect(released != nil || sink.received.count > before)
            if released == nil, sink.received.count == before { break }
        }
        try test.finish()
        #expect(sink.received.sorted() == Array(1...200))
    }
}
