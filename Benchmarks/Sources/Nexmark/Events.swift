import Weir

/// Somebody who sells or bids.
public struct Person: Hashable, Codable, Sendable {
    public var id = 0
    public var name = Text()
    public var emailAddress = Text()
    public var creditCard = Text()
    public var city = Text()
    public var state = Text()
    /// Milliseconds since 1970.
    public var dateTime = 0
    public var extra = Text()

    public init() {}
}

/// Something for sale.
public struct Auction: Hashable, Codable, Sendable {
    public var id = 0
    public var itemName = Text()
    public var description = Text()
    public var initialBid = 0
    public var reserve = 0
    /// Milliseconds since 1970.
    public var dateTime = 0
    public var expires = 0
    public var seller = 0
    public var category = 0
    public var extra = Text()

    public init() {}
}

/// A bid for an auction; prices are cents.
public struct Bid: Hashable, Codable, Sendable {
    public var auction = 0
    public var bidder = 0
    public var price = 0
    public var channel = Text()
    public var url = Text()
    /// Milliseconds since 1970.
    public var dateTime = 0
    public var extra = Text()

    public init() {}
}

/// What the one stream has that all queries read.
public enum NexmarkEvent: Hashable, Codable, Sendable {
    case person(Person)
    case auction(Auction)
    case bid(Bid)

    /// Milliseconds since 1970.
    @inlinable
    public var dateTime: Int {
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
