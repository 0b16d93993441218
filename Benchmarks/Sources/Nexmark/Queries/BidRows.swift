package import Weir

/// Queries that look at each bid alone.
extension NexmarkQueries {
    /// q0: bids, as they are.
    package static func q0(_ events: EventStream<NexmarkEvent>) -> EventStream<PlainBid> {
        events.timed().bids.map {
            PlainBid(
                auction: $0.auction, bidder: $0.bidder, price: $0.price, dateTime: $0.dateTime,
                extra: $0.extra)
        }
    }

    /// q1: bids with their prices in euros: 0.908 of the price, exactly.
    package static func q1(_ events: EventStream<NexmarkEvent>) -> EventStream<EuroBid> {
        events.timed().bids.map {
            EuroBid(
                auction: $0.auction, bidder: $0.bidder, thousandths: 908 * $0.price,
                dateTime: $0.dateTime, extra: $0.extra)
        }
    }

    /// q2: the bids for every 123rd auction.
    package static func q2(_ events: EventStream<NexmarkEvent>) -> EventStream<AuctionPrice> {
        events.timed().bids.filter { $0.auction % 123 == 0 }
            .map { AuctionPrice(auction: $0.auction, price: $0.price) }
    }

    /// q14: bids within a range of prices in euros, with the time of day and the number of c's.
    package static func q14(_ events: EventStream<NexmarkEvent>) -> EventStream<ClassifiedBid> {
        events.timed().bids.compactMap { bid in
            let thousandths = 908 * bid.price
            guard thousandths > 1_000_000_000, thousandths < 50_000_000_000 else { return nil }
            return ClassifiedBid(
                auction: bid.auction, bidder: bid.bidder, thousandths: thousandths,
                timeOfDay: TimeOfDay(hour: bid.dateTime / 3_600_000 % 24), dateTime: bid.dateTime,
                extra: bid.extra, cCount: count(UInt8(ascii: "c"), in: bid.extra))
        }
    }

    /// q21: bids with the number of their channel, or what the address says of it.
    package static func q21(_ events: EventStream<NexmarkEvent>) -> EventStream<ChannelBid> {
        events.timed().bids.compactMap { bid in
            guard let id = channelID(of: bid) else { return nil }
            return ChannelBid(
                auction: bid.auction, bidder: bid.bidder, price: bid.price, channel: bid.channel,
                channelID: id)
        }
    }

    /// q22: bids with three parts of their addresses' paths.
    package static func q22(_ events: EventStream<NexmarkEvent>) -> EventStream<PathBid> {
        events.timed().bids.map { bid in
            let parts = directories(of: bid.url)
            return PathBid(
                auction: bid.auction, bidder: bid.bidder, price: bid.price, channel: bid.channel,
                first: parts.0, second: parts.1, third: parts.2)
        }
    }

    @inline(__always)
    static func count(_ letter: UInt8, in text: Text) -> Int {
        var count = 0
        for byte in text.bytes { count &+= byte == letter ? 1 : 0 }
        return count
    }

    private static let knownChannels: [(name: Text, id: Text)] = [
        ("apple", "0"), ("google", "1"), ("facebook", "2"), ("baidu", "3"),
    ]
    private static let parameter = Text("channel_id=")

    static func channelID(of bid: Bid) -> Text? {
        let channel = bid.channel.bytes
        for known in knownChannels where known.name.count == channel.count {
            let name = known.name.bytes
            var index = 0
            // The names are lower case; what is compared with them may have capitals.
            while index < channel.count, channel[index] | 0x20 == name[index] { index += 1 }
            if index == channel.count { return known.id }
        }
        return value(of: parameter, in: bid.url)
    }

    /// The value behind `name`, which stands at the start or behind an ampersand.
    private static func value(of name: Text, in url: Text) -> Text? {
        let (bytes, name) = (url.bytes, name.bytes)
        let ampersand = UInt8(ascii: "&")
        var start = 0
        while start + name.count <= bytes.count {
            if bytes[start..<start + name.count].elementsEqual(name) {
                let first = start + name.count
                var end = first
                while end < bytes.count, bytes[end] != ampersand { end += 1 }
                return url.slice(first..<end)
            }
            guard let next = bytes[start...].firstIndex(of: ampersand) else { return nil }
            start = next + 1
        }
        return nil
    }

    /// The fourth, fifth and sixth part of an address between slashes.
    static func directories(of url: Text) -> (Text, Text, Text) {
        let bytes = url.bytes
        var parts = (Text(), Text(), Text())
        var (number, start) = (0, 0)
        for index in 0...bytes.count {
            guard index == bytes.count || bytes[index] == UInt8(ascii: "/") else { continue }
            switch number {
            case 3: parts.0 = url.slice(start..<index)
            case 4: parts.1 = url.slice(start..<index)
            case 5:
                parts.2 = url.slice(start..<index)
                return parts
            default: break
            }
            number += 1
            start = index + 1
        }
        return parts
    }
}

/// The queries of Nexmark in Weir's package API.
package enum NexmarkQueries {}

package struct PlainBid: ResultRow {
    package static let header = "auction,bidder,price,dateTime,extra"
    let auction, bidder, price, dateTime: Int
    let extra: Text

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(bidder)
        line.add(price)
        line.add(time: dateTime)
        line.add(extra)
    }
}

package struct EuroBid: ResultRow {
    package static let header = "auction,bidder,price,dateTime,extra"
    let auction, bidder, thousandths, dateTime: Int
    let extra: Text

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(bidder)
        line.add(thousandths: thousandths)
        line.add(time: dateTime)
        line.add(extra)
    }
}

package struct AuctionPrice: ResultRow {
    package static let header = "auction,price"
    let auction, price: Int

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(price)
    }
}

package enum TimeOfDay: String, Sendable {
    case dayTime, nightTime, otherTime

    init(hour: Int) {
        self =
            (8...18).contains(hour) ? .dayTime : hour <= 6 || hour >= 20 ? .nightTime : .otherTime
    }
}

package struct ClassifiedBid: ResultRow {
    package static let header = "auction,bidder,price,bidTimeType,dateTime,extra,c_counts"
    let auction, bidder, thousandths: Int
    let timeOfDay: TimeOfDay
    let dateTime: Int
    let extra: Text
    let cCount: Int

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(bidder)
        line.add(thousandths: thousandths)
        line.add(timeOfDay.rawValue)
        line.add(time: dateTime)
        line.add(extra)
        line.add(cCount)
    }
}

package struct ChannelBid: ResultRow {
    package static let header = "auction,bidder,price,channel,channel_id"
    let auction, bidder, price: Int
    let channel, channelID: Text

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(bidder)
        line.add(price)
        line.add(channel)
        line.add(channelID)
    }
}

package struct PathBid: ResultRow {
    package static let header = "auction,bidder,price,channel,dir1,dir2,dir3"
    let auction, bidder, price: Int
    let channel, first, second, third: Text

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(bidder)
        line.add(price)
        for text in [channel, first, second, third] { line.add(text) }
    }
}
