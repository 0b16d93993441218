package import Weir

/// Queries whose results go on changing.
extension NexmarkQueries {
    /// q15: for each day how many bids, bidders and auctions there are, in all and by price.
    package static func q15(_ events: EventStream<NexmarkEvent>) -> ChangeStream<DayReport> {
        events.timed().bids
            .keyed(by: { $0.dateTime / 86_400_000 })
            .aggregate(BidReport(), name: "days")
            .map { DayReport(day: $0.key, report: $0.value) }
    }

    /// q16: the same for each channel, with the minute of the last bid.
    package static func q16(_ events: EventStream<NexmarkEvent>) -> ChangeStream<ChannelReport> {
        events.timed().bids
            .keyed(by: { ChannelDay(channel: $0.channel, day: $0.dateTime / 86_400_000) })
            .aggregate(BidReport(), name: "channels")
            .map { ChannelReport(key: $0.key, report: $0.value) }
    }

    /// q17: for each auction and day the number of bids by price, and figures of the prices.
    package static func q17(_ events: EventStream<NexmarkEvent>) -> ChangeStream<AuctionReport> {
        events.timed().bids
            .keyed(by: { AuctionDay(auction: $0.auction, day: $0.dateTime / 86_400_000) })
            .aggregate(PriceReport(), name: "auctions")
            .map { AuctionReport(key: $0.key, prices: $0.value) }
    }

    /// q18: the last bid of each bidder for each auction.
    package static func q18(_ events: EventStream<NexmarkEvent>) -> ChangeStream<Bid> {
        events.timed().bids
            .keyed(by: { BidderAuction(bidder: $0.bidder, auction: $0.auction) })
            .latest(name: "last-bids")
    }

    /// q19: the ten highest bids for each auction, with their ranks.
    package static func q19(_ events: EventStream<NexmarkEvent>) -> ChangeStream<RankedBid> {
        events.timed().bids
            .keyed(by: \.auction)
            .top(10, name: "top-ten") { $0.price > $1.price }
            .map { RankedBid(bid: $0.row, rank: $0.rank) }
    }
}

struct ChannelDay: Hashable, Codable, Sendable, StableHashable {
    let channel: Text
    let day: Int

    func stableHash(into hasher: inout StableHasher) {
        channel.stableHash(into: &hasher)
        hasher.combine(day)
    }
}

struct AuctionDay: Hashable, Codable, Sendable, StableHashable {
    let auction, day: Int

    func stableHash(into hasher: inout StableHasher) {
        hasher.combine(auction)
        hasher.combine(day)
    }
}

struct BidderAuction: Hashable, Codable, Sendable, StableHashable {
    let bidder, auction: Int

    func stableHash(into hasher: inout StableHasher) {
        hasher.combine(bidder)
        hasher.combine(auction)
    }
}

/// The three bands of prices.
enum PriceBand {
    @inline(__always)
    static func of(_ price: Int) -> Int { price < 10_000 ? 0 : price < 1_000_000 ? 1 : 2 }
}

/// Bids, bidders and auctions, in all and by price.
struct BidReport: Aggregate {
    struct Accumulator: Codable, Sendable {
        var bids = SIMD4<Int>()
        var minute = 0
        var bidders = BandedSet<Int>()
        var auctions = BandedSet<Int>()
    }

    struct Output: Hashable, Sendable {
        /// In all, then by price.
        var bids = SIMD4<Int>()
        /// The latest minute of the day.
        var minute = 0
        var bidders: BandedCounts
        var auctions: BandedCounts
    }

    private let bidders = DistinctCountsAggregate<Bid, Int>(
        of: { $0.bidder }, bands: { 1 << PriceBand.of($0.price) })
    private let auctions = DistinctCountsAggregate<Bid, Int>(
        of: { $0.auction }, bands: { 1 << PriceBand.of($0.price) })

    func initial() -> Accumulator { Accumulator() }

    func add(_ bid: Bid, to state: inout Accumulator) {
        state.bids[0] += 1
        state.bids[1 + PriceBand.of(bid.price)] += 1
        state.minute = Swift.max(state.minute, bid.dateTime / 60_000 % 1_440)
        bidders.add(bid, to: &state.bidders)
        auctions.add(bid, to: &state.auctions)
    }

    func combine(_ other: Accumulator, into state: inout Accumulator) {
        state.bids &+= other.bids
        state.minute = Swift.max(state.minute, other.minute)
        bidders.combine(other.bidders, into: &state.bidders)
        auctions.combine(other.auctions, into: &state.auctions)
    }

    func result(of state: Accumulator) -> Output {
        Output(
            bids: state.bids, minute: state.minute, bidders: bidders.result(of: state.bidders),
            auctions: auctions.result(of: state.auctions))
    }
}

extension BidReport.Output {
    static let header =
        "total_bids,rank1_bids,rank2_bids,rank3_bids,"
        + "total_bidders,rank1_bidders,rank2_bidders,rank3_bidders,"
        + "total_auctions,rank1_auctions,rank2_auctions,rank3_auctions"

    func write(to line: inout RowWriter) {
        for band in 0..<4 { line.add(bids[band]) }
        for counts in [bidders, auctions] {
            line.add(counts.total)
            for band in 0..<3 { line.add(counts.inBand(band)) }
        }
    }
}

/// The number of bids by price, and the least, greatest, average and sum of the prices.
struct PriceReport: Aggregate {
    struct Accumulator: Hashable, Codable, Sendable {
        var bids = SIMD4<Int>()
        var least = Int.max
        var greatest = Int.min
        var sum = 0
    }

    func initial() -> Accumulator { Accumulator() }

    func add(_ bid: Bid, to state: inout Accumulator) {
        state.bids[0] += 1
        state.bids[1 + PriceBand.of(bid.price)] += 1
        state.least = Swift.min(state.least, bid.price)
        state.greatest = Swift.max(state.greatest, bid.price)
        state.sum += bid.price
    }

    func combine(_ other: Accumulator, into state: inout Accumulator) {
        state.bids &+= other.bids
        state.least = Swift.min(state.least, other.least)
        state.greatest = Swift.max(state.greatest, other.greatest)
        state.sum += other.sum
    }

    func result(of state: Accumulator) -> Accumulator { state }
}

package struct DayReport: ResultRow {
    package static let header = "day," + BidReport.Output.header
    let day: Int
    let report: BidReport.Output

    package func write(to line: inout RowWriter) {
        line.add(day: day)
        report.write(to: &line)
    }
}

package struct ChannelReport: ResultRow {
    package static let header = "channel,day,minute," + BidReport.Output.header
    let key: ChannelDay
    let report: BidReport.Output

    package func write(to line: inout RowWriter) {
        line.add(key.channel)
        line.add(day: key.day)
        line.add(minute: report.minute)
        report.write(to: &line)
    }
}

package struct AuctionReport: ResultRow {
    package static let header =
        "auction,day,total_bids,rank1_bids,rank2_bids,rank3_bids,"
        + "min_price,max_price,avg_price,sum_price"
    let key: AuctionDay
    let prices: PriceReport.Accumulator

    package func write(to line: inout RowWriter) {
        line.add(key.auction)
        line.add(day: key.day)
        for band in 0..<4 { line.add(prices.bids[band]) }
        line.add(prices.least)
        line.add(prices.greatest)
        line.add(prices.sum / max(1, prices.bids[0]))
        line.add(prices.sum)
    }
}

package struct RankedBid: ResultRow {
    package static let header = Bid.header + ",rank_number"
    let bid: Bid
    let rank: Int

    package func write(to line: inout RowWriter) {
        bid.write(to: &line)
        line.add(rank)
    }
}
