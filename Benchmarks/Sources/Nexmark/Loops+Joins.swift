/// Loops that join bids with auctions, auctions with people, or bids with a table.
extension NexmarkLoops {
    static func q3(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var persons = IntMap<Person>(Person())
        var waiting = IntMap<[Int]>([])
        let states: [Text] = ["OR", "ID", "CA"]
        for event in events {
            switch event {
            case .person(let person) where states.contains(person.state):
                persons[person.id] = person
                for auction in waiting.find(person.id) ?? [] {
                    sum &+= auction ^ person.name.count
                    count += 1
                }
            case .auction(let auction) where auction.category == 10:
                if let person = persons.find(auction.seller) {
                    sum &+= auction.id ^ person.name.count
                    count += 1
                } else {
                    waiting[auction.seller].append(auction.id)
                }
            default: break
            }
        }
        return (count, sum)
    }

    static func q4(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var auctions = IntMap<(auction: Auction, price: Int)>((Auction(), 0))
        var categories = IntMap<(sum: Int, count: Int, mean: Int)>((0, 0, -1))
        for event in events {
            switch event {
            case .auction(let auction): auctions[auction.id].auction = auction
            case .bid(let bid):
                guard let (auction, highest) = auctions.find(bid.auction),
                    auction.dateTime <= bid.dateTime, bid.dateTime <= auction.expires,
                    bid.price > highest
                else { continue }
                auctions[bid.auction].price = bid.price
                categories.update(auction.category) { category in
                    category.sum += bid.price - highest
                    category.count += highest == 0 ? 1 : 0
                    let mean = category.sum / category.count
                    if mean == category.mean { return }
                    category.mean = mean
                    sum &+= mean ^ auction.category
                    count += 1
                }
            case .person: break
            }
        }
        return (count, sum)
    }

    static func q6(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var auctions = IntMap<(auction: Auction, price: Int)>((Auction(), 0))
        var sellers = IntMap<(last: [Int], mean: Int)>(([], -1))
        var ends = EndingAuctions()
        func close(_ id: Int) {
            guard let (auction, price) = auctions.find(id) else { return }
            sellers.update(auction.seller) { seller in
                if seller.last.count == 10 { seller.last.removeFirst() }
                seller.last.append(price)
                let mean = seller.last.reduce(0, +) / seller.last.count
                if mean == seller.mean { return }
                seller.mean = mean
                sum &+= mean ^ auction.seller
                count += 1
            }
        }
        for event in events {
            while let ended = ends.next(before: event.dateTime) { close(ended) }
            switch event {
            case .auction(let auction): auctions[auction.id].auction = auction
            case .bid(let bid):
                guard let (auction, highest) = auctions.find(bid.auction),
                    auction.dateTime <= bid.dateTime, bid.dateTime <= auction.expires
                else { continue }
                if highest == 0 { ends.insert(auction.id, endingAt: auction.expires) }
                if bid.price > highest { auctions[bid.auction].price = bid.price }
            case .person: break
            }
        }
        while let ended = ends.next(before: .max) { close(ended) }
        return (count, sum)
    }

    static func q9(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var auctions = IntMap<(Auction, Bid)>((Auction(), Bid()))
        for event in events {
            switch event {
            case .auction(let auction): auctions[auction.id].0 = auction
            case .bid(let bid):
                guard let (auction, best) = auctions.find(bid.auction),
                    auction.dateTime <= bid.dateTime, bid.dateTime <= auction.expires,
                    bid.price > best.price
                else { continue }
                auctions[bid.auction].1 = bid
                sum &+= bid.price ^ auction.id
                count += 1
            case .person: break
            }
        }
        return (count, sum)
    }

    static func q13(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var table = IntMap<Text>(Text())
        for key in 0..<10_000 { table[key] = Text("\(key)") }
        for case .bid(let bid) in events {
            guard let value = table.find(bid.auction % 10_000) else { continue }
            sum &+= bid.auction ^ bid.bidder ^ bid.price ^ bid.dateTime ^ value.count
            count += 1
        }
        return (count, sum)
    }

    static func q20(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var auctions = IntMap<Auction>(Auction())
        var waiting = IntMap<[Bid]>([])
        for event in events {
            switch event {
            case .auction(let auction):
                auctions[auction.id] = auction
                guard auction.category == 10 else { continue }
                for bid in waiting.find(auction.id) ?? [] {
                    sum &+= bid.price ^ auction.id
                    count += 1
                }
            case .bid(let bid):
                guard let auction = auctions.find(bid.auction) else {
                    waiting[bid.auction].append(bid)
                    continue
                }
                guard auction.category == 10 else { continue }
                sum &+= bid.price ^ auction.id
                count += 1
            case .person: break
            }
        }
        return (count, sum)
    }
}

/// Auctions by their ends, as one writes it for a loop: a binary heap.
private struct EndingAuctions {
    private var heap: [(end: Int, auction: Int)] = []

    mutating func insert(_ auction: Int, endingAt end: Int) {
        heap.append((end, auction))
        var place = heap.count - 1
        while place > 0, heap[place] < heap[(place - 1) / 2] {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    /// Takes the auction that has ended first, if that was before a time.
    mutating func next(before time: Int) -> Int? {
        guard let first = heap.first, first.end < time else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            if least == place { return first.auction }
            heap.swapAt(place, least)
            place = least
        }
    }
}
