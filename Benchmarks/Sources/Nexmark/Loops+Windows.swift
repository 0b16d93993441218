/// Loops over windows.
extension NexmarkLoops {
    static func q5(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
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

    static func q7(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
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

    static func q8(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
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

    static func q11(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        var sessions = IntMap<(bids: Int, end: Int)>((0, 0))
        for case .bid(let bid) in events {
            sessions.update(bid.bidder) { session in
                if session.bids > 0, bid.dateTime >= session.end {
                    sum &+= bid.bidder ^ session.bids
                    count += 1
                    session.bids = 0
                }
                session.bids += 1
                session.end = max(session.end, bid.dateTime + 10_000)
            }
        }
        sessions.forEach {
            sum &+= $0 ^ $1.bids
            count += 1
        }
        return (count, sum)
    }

    static func q12(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum, untilLook) = (0, 0, 0)
        let clock = ContinuousClock()
        var end = clock.now + .seconds(10)
        var bidders = IntMap<Int>(0)
        func fire() {
            bidders.forEach {
                sum &+= $0 ^ $1
                count += 1
            }
        }
        for case .bid(let bid) in events {
            // As often as a batch has the time looked at.
            if untilLook == 0 {
                untilLook = 512
                if clock.now >= end {
                    fire()
                    bidders = IntMap(0)
                    end += .seconds(10)
                }
            }
            untilLook -= 1
            bidders[bid.bidder] += 1
        }
        fire()
        return (count, sum)
    }
}
