/// The same queries as plain loops of one thread, without a framework: the least that they can cost.
///
/// Not all of their semantics: events come in order, no watermark waits for late ones, nothing is
/// kept for recovery, results are counted.
package enum NexmarkLoops {
    /// The queries that have a loop.
    package static let names = [
        "q0", "q1", "q2", "q3", "q5", "q7", "q8", "q9", "q14", "q15", "q17", "q18", "q19", "q20",
        "q21", "q22",
    ]

    /// Runs a query's loop; how many results there were, and a sum that makes the work count.
    @inline(never)
    package static func run(
        _ name: String, _ events: ContiguousArray<NexmarkEvent>
    ) -> (count: Int, checksum: Int)? {
        switch name {
        case "q0": q0(events)
        case "q1": q1(events)
        case "q2": q2(events)
        case "q3": q3(events)
        case "q5": q5(events)
        case "q7": q7(events)
        case "q8": q8(events)
        case "q9": q9(events)
        case "q14": q14(events)
        case "q15": q15(events)
        case "q17": q17(events)
        case "q18": q18(events)
        case "q19": q19(events)
        case "q20": q20(events)
        case "q21": q21(events)
        case "q22": q22(events)
        default: nil
        }
    }

    private static func q0(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            sum &+= bid.auction ^ bid.bidder ^ bid.price ^ bid.dateTime ^ bid.extra.count
            count += 1
        }
        return (count, sum)
    }

    private static func q1(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            sum &+= bid.auction ^ bid.bidder ^ (bid.price * 908) ^ bid.dateTime ^ bid.extra.count
            count += 1
        }
        return (count, sum)
    }

    private static func q2(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events where bid.auction % 123 == 0 {
            sum &+= bid.auction ^ bid.price
            count += 1
        }
        return (count, sum)
    }

    private static func q3(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
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

    private static func q5(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var panes: [(Int, IntMap<Int>)] = []
        func fire() {
            var total = IntMap<Int>(0)
            for pane in panes { pane.1.forEach { total[$0] += $1 } }
            var most = 0
            total.forEach { most = max(most, $1) }
            total.forEach {
                if $1 >= most {
                    sum &+= $0 ^ $1
                    count += 1
                }
            }
        }
        for case .bid(let bid) in events {
            let pane = bid.dateTime / 2_000
            if panes.last?.0 != pane {
                if !panes.isEmpty { fire() }
                panes.append((pane, IntMap(0)))
                panes.removeAll { $0.0 <= pane - 5 }
            }
            panes[panes.count - 1].1[bid.auction] += 1
        }
        for _ in panes {
            fire()
            panes.removeFirst()
        }
        return (count, sum)
    }

    private static func q7(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var (window, highest) = (-1, 0)
        var best: [Bid] = []
        for case .bid(let bid) in events {
            if bid.dateTime / 10_000 != window {
                for bid in best {
                    sum &+= bid.price ^ bid.auction
                    count += 1
                }
                best.removeAll(keepingCapacity: true)
                (window, highest) = (bid.dateTime / 10_000, 0)
            }
            if bid.price > highest {
                highest = bid.price
                best = [bid]
            } else if bid.price == highest {
                best.append(bid)
            }
        }
        return (count + best.count, best.reduce(sum) { $0 &+ ($1.price ^ $1.auction) })
    }

    private static func q8(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum, window) = (0, 0, -1)
        var persons = IntMap<Int>(0)
        var sellers = IntMap<Int>(0)
        func fire() {
            persons.forEach {
                if sellers.find($0) != nil {
                    sum &+= $0 ^ $1
                    count += 1
                }
            }
        }
        for event in events {
            if case .bid = event { continue }
            if event.dateTime / 10_000 != window {
                fire()
                (persons, sellers) = (IntMap(0), IntMap(0))
                window = event.dateTime / 10_000
            }
            switch event {
            case .person(let person): persons[person.id] = person.name.count
            case .auction(let auction): sellers[auction.seller] = 1
            case .bid: break
            }
        }
        fire()
        return (count, sum)
    }

    private static func q9(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
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

    private static func q14(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            let price = 908 * bid.price
            guard price > 1_000_000_000, price < 50_000_000_000 else { continue }
            let time = TimeOfDay(hour: bid.dateTime / 3_600_000 % 24)
            sum &+=
                price ^ NexmarkQueries.count(UInt8(ascii: "c"), in: bid.extra)
                ^ (time == .dayTime ? 1 : 0)
            count += 1
        }
        return (count, sum)
    }

    private static func q15(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
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

    private static func q17(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
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

    private static func q18(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var last = IntMap<Bid>(Bid())
        for case .bid(let bid) in events {
            last[bid.bidder << 32 | bid.auction] = bid
            sum &+= bid.price
            count += 1
        }
        return (count, sum ^ last.count)
    }

    private static func q19(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
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

    private static func q20(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
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

    private static func q21(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            guard let id = NexmarkQueries.channelID(of: bid) else { continue }
            sum &+= bid.price ^ id.count
            count += 1
        }
        return (count, sum)
    }

    private static func q22(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            let parts = NexmarkQueries.directories(of: bid.url)
            sum &+= bid.price ^ parts.0.count ^ parts.1.count ^ parts.2.count
            count += 1
        }
        return (count, sum)
    }
}

/// A hash table of positive integers, as one writes it for a loop: open addressing, Fibonacci hashing.
struct IntMap<Value> {
    private var keys: ContiguousArray<Int>
    private var values: ContiguousArray<Value>
    private let initial: Value
    private(set) var count = 0

    /// - Parameter initial: The value of a key that is asked for the first time.
    init(_ initial: Value) {
        self.initial = initial
        keys = ContiguousArray(repeating: -1, count: 16)
        values = ContiguousArray(repeating: initial, count: 16)
    }

    @inline(__always)
    private func slot(_ key: Int) -> Int {
        let mask = keys.count &- 1
        var slot =
            Int(truncatingIfNeeded: UInt(bitPattern: key) &* 0x9E37_79B9_7F4A_7C15 >> 32) & mask
        while keys[slot] != key, keys[slot] != -1 { slot = (slot &+ 1) & mask }
        return slot
    }

    @inline(__always)
    func find(_ key: Int) -> Value? {
        let slot = slot(key)
        return keys[slot] == key ? values[slot] : nil
    }

    /// The slot of a key, which is put in if it isn't there.
    @inline(__always)
    private mutating func place(_ key: Int) -> Int {
        let place = slot(key)
        if keys[place] == key { return place }
        if count &* 4 >= keys.count &* 3 { grow() }
        let free = slot(key)
        keys[free] = key
        count &+= 1
        return free
    }

    @inline(__always)
    mutating func update(_ key: Int, _ body: (inout Value) -> Void) {
        let place = place(key)
        body(&values[place])
    }

    @inline(__always)
    subscript(key: Int) -> Value {
        get { find(key) ?? initial }
        _modify {
            let place = place(key)
            yield &values[place]
        }
    }

    func forEach(_ body: (Int, Value) -> Void) {
        for slot in keys.indices where keys[slot] != -1 { body(keys[slot], values[slot]) }
    }

    private mutating func grow() {
        let (oldKeys, oldValues) = (keys, values)
        keys = ContiguousArray(repeating: -1, count: oldKeys.count * 2)
        values = ContiguousArray(repeating: initial, count: oldKeys.count * 2)
        for old in oldKeys.indices where oldKeys[old] != -1 {
            let slot = slot(oldKeys[old])
            keys[slot] = oldKeys[old]
            values[slot] = oldValues[old]
        }
    }
}
