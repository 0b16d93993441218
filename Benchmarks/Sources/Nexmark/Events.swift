import Weir

/// Somebody who sells or bids.
package struct Person: Hashable, Codable, Sendable {
    package var id = 0
    package var name = Text()
    package var emailAddress = Text()
    package var creditCard = Text()
    package var city = Text()
    package var state = Text()
    /// Milliseconds since 1970.
    package var dateTime = 0
    package var extra = Text()

    package init() {}
}

/// Something for sale.
package struct Auction: Hashable, Codable, Sendable {
    package var id = 0
    package var itemName = Text()
    package var description = Text()
    package var initialBid = 0
    package var reserve = 0
    /// Milliseconds since 1970.
    package var dateTime = 0
    package var expires = 0
    package var seller = 0
    package var category = 0
    package var extra = Text()

    package init() {}
}

/// A bid for an auction; prices are cents.
package struct Bid: Hashable, Codable, Sendable {
    package var auction = 0
    package var bidder = 0
    package var price = 0
    package var channel = Text()
    package var url = Text()
    /// Milliseconds since 1970.
    package var dateTime = 0
    package var extra = Text()

    package init() {}
}

/// What the one stream has that all queries read.
package enum NexmarkEvent: Hashable, Codable, Sendable {
    case person(Person)
    case auction(Auction)
    case bid(Bid)

    /// Milliseconds since 1970.
    package var dateTime: Int {
        switch self {
        case .person(let person): person.dateTime
        case .auction(let auction): auction.dateTime
        case .bid(let bid): bid.dateTime
        }
    }
}

extension EventStream<NexmarkEvent> {
    /// The events with their times, at most four seconds out of order.
    func timed() -> EventStream<NexmarkEvent> {
        eventTime(
            { EventTime(milliseconds: Int64($0.dateTime)) },
            .boundedOutOfOrderness(.seconds(4)).neverIdle)
    }

    var persons: EventStream<Person> {
        compactMap { if case .person(let person) = $0 { person } else { nil } }
    }

    var auctions: EventStream<Auction> {
        compactMap { if case .auction(let auction) = $0 { auction } else { nil } }
    }

    var bids: EventStream<Bid> {
        compactMap { if case .bid(let bid) = $0 { bid } else { nil } }
    }
}
