package import Weir

/// Queries that join.
extension NexmarkQueries {
    /// q3: who sells in category 10 in Oregon, Idaho or California.
    package static func q3(_ events: EventStream<NexmarkEvent>) -> EventStream<LocalSeller> {
        let states: [Text] = ["OR", "ID", "CA"]
        let events = events.timed()
        let sellers = events.persons.filter { states.contains($0.state) }
        return events.auctions.filter { $0.category == 10 }
            .map { OpenAuction(id: $0.id, seller: $0.seller) }
            .keyed(by: \.seller)
            .join(sellers.keyed(by: \.id), unique: .right, name: "local-sellers") {
                auction, seller in
                LocalSeller(
                    name: seller.name, city: seller.city, state: seller.state, id: auction.id)
            }
    }

    /// q13: bids with what a table says of their auction.
    package static func q13(_ events: EventStream<NexmarkEvent>) -> EventStream<LookedUpBid> {
        let table = EventStream(
            "side-input",
            from: .collection((0..<10_000).map { SideRow(key: $0, value: Text("\($0)")) }))
        return events.bids.enrich(
            with: table, by: { $0.auction % 10_000 }, rowKey: \.key,
            start: .whenLoaded(limit: 1_000_000), name: "look-up"
        ) { bid, row in
            row.map {
                LookedUpBid(
                    auction: bid.auction, bidder: bid.bidder, price: bid.price,
                    dateTime: bid.dateTime, value: $0.value)
            }
        }
    }

    /// q20: the bids for auctions of category 10, with the auctions.
    package static func q20(_ events: EventStream<NexmarkEvent>) -> EventStream<AuctionBid> {
        let events = events.timed()
        return events.bids.keyed(by: \.auction)
            .join(events.auctions.keyed(by: \.id), unique: .right, name: "category-10") {
                bid, auction in
                auction.category == 10 ? AuctionBid(auction: auction, bid: bid) : nil
            }
    }

    /// The bids for each auction while it was open, with the columns that prices need.
    private static func offers(_ events: EventStream<NexmarkEvent>) -> EventStream<Offer> {
        let events = events.timed()
        let bids = events.compactMap { event in
            if case .bid(let bid) = event { PricedBid(bid) } else { nil }
        }
        let auctions = events.compactMap { event in
            if case .auction(let auction) = event { AuctionTerms(auction) } else { nil }
        }
        return bids.keyed(by: \.auction)
            .join(auctions.keyed(by: \.id), unique: .right, name: "valid-bids") { bid, auction in
                auction.opens <= bid.dateTime && bid.dateTime <= auction.expires
                    ? Offer(auction: auction, price: bid.price) : nil
            }
    }

    /// q4: for each category the average of the prices that won its auctions.
    package static func q4(_ events: EventStream<NexmarkEvent>) -> ChangeStream<CategoryPrice> {
        offers(events)
            .keyed(by: \.auctionOfCategory)
            .aggregate(.max(of: \.price), name: "winning-prices")
            .map { PriceOfCategory(category: $0.key.category, price: $0.value ?? 0) }
            .keyed(by: \.category)
            .aggregate(WholeMean(of: \.price), name: "averages")
            .map { CategoryPrice(category: $0.key, price: $0.value) }
    }

    /// q6: for each seller the average price of the last ten auctions that have closed.
    package static func q6(_ events: EventStream<NexmarkEvent>) -> ChangeStream<SellerPrice> {
        offers(events)
            .keyed(by: \.auction.id)
            .handle("closed-auctions") { ClosingAuction() }
            .keyed(by: \.seller)
            .aggregate(LastTen(), name: "last-ten")
            .map { SellerPrice(seller: $0.key, price: $0.value) }
    }

    /// q9: the winning bid of each auction so far.
    package static func q9(_ events: EventStream<NexmarkEvent>) -> ChangeStream<WinningBid> {
        let events = events.timed()
        return events.bids.keyed(by: \.auction)
            .join(events.auctions.keyed(by: \.id), unique: .right, name: "valid-bids") {
                bid, auction in
                auction.dateTime <= bid.dateTime && bid.dateTime <= auction.expires
                    ? AuctionBid(auction: auction, bid: bid) : nil
            }
            .keyed(by: \.auction.id)
            .top(1, name: "winners") {
                ($1.bid.price, $0.bid.dateTime) < ($0.bid.price, $1.bid.dateTime)
            }
            .map { WinningBid(row: $0.row) }
    }
}

/// Gives the price of an auction when it closes.
struct ClosingAuction: KeyedHandler {
    struct State: Codable, Sendable {
        var highest = 0
        var seller = 0
    }

    func initialState(for auction: Int) -> State { State() }

    func on(
        _ offer: Offer, state: inout State, _ context: inout Context<Int, ClosedAuction>
    ) {
        if state.highest == 0 {
            context.setTimer(at: EventTime(milliseconds: Int64(offer.auction.expires)))
            state.seller = offer.auction.seller
        }
        state.highest = max(state.highest, offer.price)
    }

    func onTimer(
        _ timer: FiredTimer, state: inout State, _ context: inout Context<Int, ClosedAuction>
    ) {
        context.emit(
            ClosedAuction(
                auction: context.key, seller: state.seller,
                closed: Int(timer.time.nanoseconds / 1_000_000), price: state.highest))
        context.clearState()
    }
}

struct ClosedAuction: Codable, Sendable {
    let auction, seller, closed, price: Int
}

/// The mean price of the ten auctions that have closed last.
struct LastTen: Aggregate {
    func initial() -> [ClosedAuction] { [] }

    func add(_ auction: ClosedAuction, to last: inout [ClosedAuction]) {
        let place =
            last.lastIndex {
                ($0.closed, $0.auction) < (auction.closed, auction.auction)
            }.map { $0 + 1 } ?? 0
        last.insert(auction, at: place)
        if last.count > 10 { last.removeFirst() }
    }

    func combine(_ other: [ClosedAuction], into last: inout [ClosedAuction]) {
        for auction in other { add(auction, to: &last) }
    }

    func result(of last: [ClosedAuction]) -> Int {
        last.isEmpty ? 0 : last.reduce(0) { $0 + $1.price } / last.count
    }
}

/// The mean of whole numbers, rounded towards zero, of inputs that come and go.
struct WholeMean<Input>: InvertibleAggregate {
    struct Accumulator: Codable, Sendable {
        var sum = 0
        var count = 0
    }

    let value: @Sendable (Input) -> Int

    init(of value: @escaping @Sendable (Input) -> Int) { self.value = value }

    func initial() -> Accumulator { Accumulator() }

    func add(_ input: Input, to state: inout Accumulator) {
        state.sum += value(input)
        state.count += 1
    }

    func combine(_ other: Accumulator, into state: inout Accumulator) {
        state.sum += other.sum
        state.count += other.count
    }

    func subtract(_ other: Accumulator, from state: inout Accumulator) {
        state.sum -= other.sum
        state.count -= other.count
    }

    func result(of state: Accumulator) -> Int { state.count == 0 ? 0 : state.sum / state.count }
}

struct OpenAuction: Codable, Sendable {
    let id, seller: Int
}

struct SideRow: Codable, Sendable {
    let key: Int
    let value: Text
}

/// What a bid says about prices.
struct PricedBid: Codable, Sendable {
    let auction, price, dateTime: Int

    init(_ bid: Bid) {
        auction = bid.auction
        price = bid.price
        dateTime = bid.dateTime
    }
}

/// What an auction says about prices.
struct AuctionTerms: Codable, Sendable {
    let id, category, seller, opens, expires: Int

    init(_ auction: Auction) {
        id = auction.id
        category = auction.category
        seller = auction.seller
        opens = auction.dateTime
        expires = auction.expires
    }
}

/// A price for an auction that was open.
struct Offer: Codable, Sendable {
    let auction: AuctionTerms
    let price: Int

    struct AuctionOfCategory: Hashable, Codable, Sendable, StableHashable {
        let category, auction: Int

        func stableHash(into hasher: inout StableHasher) { hasher.combine(auction) }
    }

    var auctionOfCategory: AuctionOfCategory {
        AuctionOfCategory(category: auction.category, auction: auction.id)
    }
}

/// The highest price of an auction.
struct PriceOfCategory: Codable, Sendable {
    let category, price: Int
}

package struct LocalSeller: ResultRow {
    package static let header = "name,city,state,id"
    let name, city, state: Text
    let id: Int

    package func write(to line: inout RowWriter) {
        for text in [name, city, state] { line.add(text) }
        line.add(id)
    }
}

package struct LookedUpBid: ResultRow {
    package static let header = "auction,bidder,price,dateTime,value"
    let auction, bidder, price, dateTime: Int
    let value: Text

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(bidder)
        line.add(price)
        line.add(time: dateTime)
        line.add(value)
    }
}

package struct CategoryPrice: ResultRow {
    package static let header = "id,final"
    let category, price: Int

    package func write(to line: inout RowWriter) {
        line.add(category)
        line.add(price)
    }
}

package struct SellerPrice: ResultRow {
    package static let header = "seller,avg_price"
    let seller, price: Int

    package func write(to line: inout RowWriter) {
        line.add(seller)
        line.add(price)
    }
}

package struct AuctionBid: ResultRow, Codable {
    package static let header =
        "auction,bidder,price,channel,url,dateTimeB,extraB,itemName,description,initialBid,"
        + "reserve,dateTimeA,expires,seller,category,extraA"
    let auction: Auction
    let bid: Bid

    package func write(to line: inout RowWriter) {
        bid.write(to: &line)
        line.add(auction.itemName)
        line.add(auction.description)
        line.add(auction.initialBid)
        line.add(auction.reserve)
        line.add(time: auction.dateTime)
        line.add(time: auction.expires)
        line.add(auction.seller)
        line.add(auction.category)
        line.add(auction.extra)
    }
}

package struct WinningBid: ResultRow {
    package static let header =
        Auction.header + ",auction,bidder,price,bid_dateTime,bid_extra"
    let row: AuctionBid

    package func write(to line: inout RowWriter) {
        row.auction.write(to: &line)
        line.add(row.bid.auction)
        line.add(row.bid.bidder)
        line.add(row.bid.price)
        line.add(time: row.bid.dateTime)
        line.add(row.bid.extra)
    }
}
