/// Loops that keep a report, or the best or last rows, of each key.
extension NexmarkLoops {
    static func q15(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var days = IntMap<(bids: SIMD4<Int>, bidders: IntMap<UInt8>, auctions: IntMap<UInt8>)>(
            (SIMD4(), IntMap(0), IntMap(0)))
        for case .bid(let bid) in events {
            let band = PriceBand.of(bid.price)
            days.update(bid.dateTime / 86_400_000) { day in
                day.bids[0] += 1
                day.bids[band + 1] += 1
                day.bidders[bid.bidder] |= 1 << band
                day.auctions[bid.auction] |= 1 << band
                sum &+= day.bids[0] ^ day.bidders.count ^ day.auctions.count
            }
            count += 1
        }
        return (count, sum)
    }

    static func q16(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var channels: [ChannelDay: Report] = [:]
        for case .bid(let bid) in events {
            let band = PriceBand.of(bid.price)
            let key = ChannelDay(channel: bid.channel, day: bid.dateTime / 86_400_000)
            sum &+= channels[key, default: Report()].add(bid, band)
            count += 1
        }
        return (count, sum)
    }

    /// The bids, bidders and auctions of a channel on a day.
    private struct Report {
        private var bids = SIMD4<Int>()
        private var minute = 0
        private var bidders = IntMap<UInt8>(0)
        private var auctions = IntMap<UInt8>(0)

        @inline(__always)
        mutating func add(_ bid: Bid, _ band: Int) -> Int {
            bids[0] += 1
            bids[band + 1] += 1
            minute = max(minute, bid.dateTime / 60_000 % 1_440)
            bidders[bid.bidder] |= 1 << band
            auctions[bid.auction] |= 1 << band
            return bids[0] ^ minute ^ bidders.count ^ auctions.count
        }
    }

    static func q17(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        let report = PriceReport()
        var auctions = IntMap<PriceReport.Accumulator>(report.initial())
        for case .bid(let bid) in events {
            auctions.update(bid.auction &* 100_000 &+ bid.dateTime / 86_400_000) {
                report.add(bid, to: &$0)
                sum &+= $0.sum / $0.bids[0]
            }
            count += 1
        }
        return (count, sum)
    }

    static func q18(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var last = IntMap<Bid>(Bid())
        for case .bid(let bid) in events {
            last[bid.bidder << 32 | bid.auction] = bid
            sum &+= bid.price
            count += 1
        }
        return (count, sum ^ last.count)
    }

    static func q19(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var auctions = IntMap<[Bid]>([])
        for case .bid(let bid) in events {
            auctions.update(bid.auction) { top in
                var place = top.count
                while place > 0, top[place - 1].price < bid.price { place -= 1 }
                if place == 10 { return }
                if top.count == 10 { top.removeLast() }
                top.insert(bid, at: place)
                count += top.count - place
                sum &+= bid.price ^ place
            }
        }
        return (count, sum)
    }
}
