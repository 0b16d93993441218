import Foundation
import Nexmark
import Testing
import Weir

private func events(_ count: Int, seed: UInt64 = 42, rate: Int = 100_000) -> [NexmarkEvent] {
    var generator = NexmarkGenerator(seed: seed, rate: rate)
    return (0..<count).map { _ in generator.next() }
}

@Suite struct `The generator of Nexmark` {
    @Test func `makes one person, three auctions and 46 bids of fifty events`() {
        let kinds = events(1_000).map { event in
            switch event {
            case .person: "p"
            case .auction: "a"
            case .bid: "b"
            }
        }
        let fifty = ["p", "a", "a", "a"] + Array(repeating: "b", count: 46)
        #expect(kinds == (0..<20).flatMap { _ in fifty })
    }

    @Test func `numbers people and auctions from a thousand on`() {
        var (persons, auctions): ([Int], [Int]) = ([], [])
        for event in events(500) {
            if case .person(let person) = event { persons.append(person.id) }
            if case .auction(let auction) = event { auctions.append(auction.id) }
        }
        #expect(persons == Array(1_000..<1_010))
        #expect(auctions == Array(1_000..<1_030))
    }

    @Test func `has a hundred events in a millisecond`() {
        let times = events(1_000).map { $0.dateTime - NexmarkGenerator.baseTime }
        #expect(times == (0..<1_000).map { $0 / 100 })
    }

    @Test func `follows from its seed, and goes on from a position`() {
        #expect(events(500) == events(500))
        #expect(events(500) != events(500, seed: 43))
        var whole = NexmarkGenerator()
        for _ in 0..<137 { _ = whole.next() }
        var later = NexmarkGenerator()
        later.seek(to: whole.position)
        #expect((0..<200).map { _ in later.next() } == (0..<200).map { _ in whole.next() })
    }

    /// The shares follow from the ratios: hot ones are 1 of 2 auctions, 3 of 4 sellers and bidders, 1
    /// of 2 channels.
    @Test func `draws hot auctions, sellers, bidders and channels as often as it should`() {
        var (hotAuctions, hotBidders, hotChannels, hotSellers) = (0, 0, 0, 0)
        var (bids, auctions) = (0, 0)
        for (number, event) in events(200_000).enumerated() {
            let (person, auction) = (number / 50, number / 50 * 3 + 2)
            switch event {
            case .bid(let bid):
                bids += 1
                if bid.auction == auction / 100 * 100 + 1_000 { hotAuctions += 1 }
                if bid.bidder == person / 100 * 100 + 2_001 { hotBidders += 1 }
                if !bid.channel.description.hasPrefix("channel-") { hotChannels += 1 }
                #expect((100...100_000_000).contains(bid.price))
                #expect((54...81).contains(bid.extra.count))
            case .auction(let auction):
                auctions += 1
                if auction.seller == person / 100 * 100 + 1_000 { hotSellers += 1 }
                #expect((10...14).contains(auction.category))
                #expect(auction.expires > auction.dateTime)
                #expect(auction.expires - auction.dateTime <= 34)
                #expect(auction.reserve > auction.initialBid)
            case .person(let person):
                #expect(person.emailAddress.description.hasSuffix(".com"))
                #expect(person.creditCard.count == 19)
            }
        }
        func share(_ count: Int, _ of: Int) -> Double { Double(count) / Double(of) }
        // Random draws hit the hot one too, now and then: about 1 in 110 auctions.
        #expect((0.49...0.52).contains(share(hotAuctions, bids)))
        #expect((0.74...0.77).contains(share(hotBidders, bids)))
        #expect((0.49...0.51).contains(share(hotChannels, bids)))
        #expect((0.74...0.77).contains(share(hotSellers, auctions)))
    }

    @Test func `makes the first bids as computed by hand`() throws {
        // Of the first fifty events the last auction is number 2 and the last person number 0.
        for case .bid(let bid) in events(50) {
            #expect((1_000...1_012).contains(bid.auction))
            #expect((2_000...2_010).contains(bid.bidder))
        }
    }
}

@Suite struct `Times as text` {
    @Test(arguments: [
        (1_767_225_600_123, "2026-01-01 00:00:00.123"),
        (951_782_399_999, "2000-02-28 23:59:59.999"),
        (951_868_799_000, "2000-02-29 23:59:59.000"), (0, "1970-01-01 00:00:00.000"),
    ])
    func `are written and read`(_ time: Int, _ text: String) {
        var written: [UInt8] = []
        TimeText.append(time, to: &written)
        #expect(String(decoding: written, as: UTF8.self) == text)
        #expect(written.withUnsafeBufferPointer { TimeText.parse($0) } == time)
    }

    @Test(arguments: ["", "2026-01-01", "2026-13-01 00:00:00", "2026-01-01 00:0x:00.000"])
    func `that are wrong are refused`(_ text: String) {
        #expect(Array(text.utf8).withUnsafeBufferPointer { TimeText.parse($0) } == nil)
    }
}

@Suite struct `Files of events` {
    private func directory() -> String {
        "\(FileManager.default.temporaryDirectory.path)/nexmark-\(UUID().uuidString)"
    }

    @Test func `bring back what was written, by time`() throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let files = EventFiles(directory: path)
        try files.write(events: 5_000)
        let read = try files.read()
        #expect(read.count == 5_000)
        #expect(Set(read) == Set(events(5_000)))
        #expect(read.map(\.dateTime) == read.map(\.dateTime).sorted())
    }

    @Test func `may quote fields, order columns anew and end lines as on Windows`() throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let files = EventFiles(directory: path)
        try files.write(events: 1)
        let text =
            "extra,auction,bidder,price,url,channel,dateTime\r\n"
            + "\"a \"\"b\"\", c\nd\",1,2,3,u,\"\",2026-01-01 00:00:01.5\r\n"
        try text.write(toFile: "\(path)/bid.csv", atomically: true, encoding: .utf8)
        let read = try files.read()
        guard case .bid(let bid)? = read.last else {
            Issue.record("there is no bid")
            return
        }
        #expect(bid.extra.description == "a \"b\", c\nd")
        #expect((bid.auction, bid.bidder, bid.price) == (1, 2, 3))
        #expect(bid.channel.count == 0)
        #expect(bid.dateTime == NexmarkGenerator.baseTime + 1_500)
    }

    @Test func `with a field that is wrong are refused`() throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let files = EventFiles(directory: path)
        try files.write(events: 1)
        for line in ["x,2,3,c,u,2026-01-01 00:00:01.5,e", "1,2,3,c,u,now,e", "1,2"] {
            let text = "auction,bidder,price,channel,url,dateTime,extra\n\(line)\n"
            try text.write(toFile: "\(path)/bid.csv", atomically: true, encoding: .utf8)
            #expect(throws: EventFileError.self) { try files.read() }
        }
    }
}
