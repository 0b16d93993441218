package import Weir

/// Queries over windows.
extension NexmarkQueries {
    /// q5: the auctions with the most bids of the last ten seconds, every two seconds.
    package static func q5(_ events: EventStream<NexmarkEvent>) -> EventStream<AuctionCount> {
        events.timed().bids
            .keyed(by: \.auction)
            .window(.sliding(.seconds(10), every: .seconds(2)))
            .aggregate(.count(), name: "counts")
            .map { AuctionCount(auction: $0.key, count: $0.value) }
            // A count has the time of the end of its window: those of one window meet here.
            .keyed(by: { _ in 0 })
            .window(.tumbling(.seconds(2)))
            .aggregate(Highest(by: { $0.count }), name: "most")
            .flatMap(\.value)
    }

    /// q7: the bids with the highest price of their ten seconds; a bid at the very end of them counts
    /// if it has that price.
    package static func q7(_ events: EventStream<NexmarkEvent>) -> EventStream<PlainBid> {
        events.bids
            .flatMap { bid in
                let own = WindowBid(bid: bid, nanoseconds: bid.dateTime * 1_000_000)
                // A bid on the border belongs to the window that ends there too.
                return bid.dateTime % 10_000 == 0
                    ? OneOrTwo(own.atEndOfWindowBefore, own) : OneOrTwo(own)
            }
            .eventTime(
                { EventTime(nanoseconds: Int64($0.nanoseconds)) },
                .boundedOutOfOrderness(.seconds(4)).neverIdle
            )
            .keyed(by: { _ in 0 })
            .window(.tumbling(.seconds(10)))
            .aggregate(HighestBids(), name: "highest")
            .flatMap(\.value)
    }

    /// q8: people who came and opened an auction in the same ten seconds.
    package static func q8(_ events: EventStream<NexmarkEvent>) -> EventStream<NewSeller> {
        let events = events.timed()
        return events.persons.map { Name(id: $0.id, name: $0.name) }
            .keyed(by: \.id)
            .window(.tumbling(.seconds(10)))
            .join(events.auctions.map(\.seller).keyed(by: { $0 }), .semi, name: "sellers") {
                person, _ in person
            }
            .map {
                NewSeller(
                    id: $0.value.id, name: $0.value.name,
                    start: Int($0.window.lowerBound.nanoseconds / 1_000_000))
            }
    }

    /// q11: how often each bidder bids in a session, which ends when ten seconds bring no bid.
    package static func q11(_ events: EventStream<NexmarkEvent>) -> EventStream<BidderCount> {
        events.timed().bids
            .keyed(by: \.bidder)
            .window(.session(gap: .seconds(10)))
            .aggregate(.count(), name: "sessions")
            .map { BidderCount($0) }
    }

    /// q12: how often each bidder bids in ten seconds by the clock.
    package static func q12(_ events: EventStream<NexmarkEvent>) -> EventStream<BidderCount> {
        events.bids
            .keyed(by: \.bidder)
            .window(.tumbling(.seconds(10)).processingTime)
            .aggregate(.count(), name: "by-the-clock")
            .map { BidderCount($0) }
    }
}

/// All inputs with the highest value.
struct Highest<Input: Codable & Sendable>: Aggregate {
    let value: @Sendable (Input) -> Int

    init(by value: @escaping @Sendable (Input) -> Int) { self.value = value }

    func initial() -> [Input] { [] }

    func add(_ input: Input, to highest: inout [Input]) {
        if let best = highest.first {
            if value(input) < value(best) { return }
            if value(input) > value(best) { highest.removeAll(keepingCapacity: true) }
        }
        highest.append(input)
    }

    func combine(_ other: [Input], into highest: inout [Input]) {
        for input in other { add(input, to: &highest) }
    }

    func result(of highest: [Input]) -> [Input] { highest }
}

/// A bid in a window, or at the very end of it.
struct WindowBid: Codable, Sendable {
    let bid: Bid
    var nanoseconds: Int
    /// Whether its price counts for the highest one.
    var counts = true

    var atEndOfWindowBefore: WindowBid {
        var copy = self
        copy.nanoseconds -= 1
        copy.counts = false
        return copy
    }
}

/// One element or two, without an array.
struct OneOrTwo<Element>: Sequence, IteratorProtocol {
    private var first: Element?
    private var second: Element?

    init(_ first: Element, _ second: Element? = nil) {
        self.first = first
        self.second = second
    }

    mutating func next() -> Element? {
        if let element = first {
            first = nil
            return element
        }
        defer { second = nil }
        return second
    }
}

/// The bids with the highest price that counts.
struct HighestBids: Aggregate {
    struct Accumulator: Codable, Sendable {
        var highest = 0
        var bids: [Bid] = []
        /// Bids that don't count, but may have the highest price.
        var others: [Bid] = []
    }

    func initial() -> Accumulator { Accumulator() }

    func add(_ input: WindowBid, to state: inout Accumulator) {
        if input.bid.price < state.highest { return }
        if !input.counts { return state.others.append(input.bid) }
        if input.bid.price > state.highest {
            state.highest = input.bid.price
            state.bids.removeAll(keepingCapacity: true)
        }
        state.bids.append(input.bid)
    }

    func combine(_ other: Accumulator, into state: inout Accumulator) {
        if other.highest > state.highest {
            state.highest = other.highest
            state.bids = []
        }
        if other.highest == state.highest { state.bids += other.bids }
        state.others += other.others
    }

    func result(of state: Accumulator) -> [PlainBid] {
        (state.bids + state.others.filter { $0.price == state.highest }).map {
            PlainBid(
                auction: $0.auction, bidder: $0.bidder, price: $0.price, dateTime: $0.dateTime,
                extra: $0.extra)
        }
    }
}

struct Name: Codable, Sendable {
    let id: Int
    let name: Text
}

package struct AuctionCount: ResultRow, Codable {
    package static let header = "auction,num"
    let auction, count: Int

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(count)
    }
}

package struct NewSeller: ResultRow {
    package static let header = "id,name,starttime"
    let id: Int
    let name: Text
    let start: Int

    package func write(to line: inout RowWriter) {
        line.add(id)
        line.add(name)
        line.add(time: start)
    }
}

package struct BidderCount: ResultRow {
    package static let header = "bidder,bid_count,starttime,endtime"
    let bidder, count, start, end: Int

    init(_ result: Windowed<Int, Int>) {
        bidder = result.key
        count = result.value
        start = Int(result.window.lowerBound.nanoseconds / 1_000_000)
        end = Int(result.window.upperBound.nanoseconds / 1_000_000)
    }

    package func write(to line: inout RowWriter) {
        line.add(bidder)
        line.add(count)
        line.add(time: start)
        line.add(time: end)
    }
}
