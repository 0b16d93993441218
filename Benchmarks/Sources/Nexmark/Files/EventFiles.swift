import Foundation

/// The events of Nexmark as `person.csv`, `auction.csv` and `bid.csv`.
package struct EventFiles: Sendable {
    /// Where they are.
    package let directory: String

    package init(directory: String) {
        self.directory = directory
    }

    /// Writes the first events of a generator.
    package func write(events count: Int, seed: UInt64 = 42, rate: Int = 100_000) throws {
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        var generator = NexmarkGenerator(seed: seed, rate: rate)
        let persons = try LineFile("\(directory)/person.csv", header: Person.header)
        let auctions = try LineFile("\(directory)/auction.csv", header: Auction.header)
        let bids = try LineFile("\(directory)/bid.csv", header: Bid.header)
        for _ in 0..<count {
            switch generator.next() {
            case .person(let person): try persons.write(person)
            case .auction(let auction): try auctions.write(auction)
            case .bid(let bid): try bids.write(bid)
            }
        }
        for file in [persons, auctions, bids] { try file.close() }
    }

    /// Reads the three files, as one stream by time: persons before auctions before bids of a time.
    package func read() throws -> ContiguousArray<NexmarkEvent> {
        let persons = try EventReader("\(directory)/person.csv").map { row in
            var person = Person()
            person.id = try row.number("id")
            person.name = try row.text("name")
            person.emailAddress = try row.text("emailAddress")
            person.creditCard = try row.text("creditCard")
            person.city = try row.text("city")
            person.state = try row.text("state")
            person.dateTime = try row.time("dateTime")
            person.extra = try row.text("extra")
            return person
        }
        let auctions = try EventReader("\(directory)/auction.csv").map { row in
            var auction = Auction()
            auction.id = try row.number("id")
            auction.itemName = try row.text("itemName")
            auction.description = try row.text("description")
            auction.initialBid = try row.number("initialBid")
            auction.reserve = try row.number("reserve")
            auction.dateTime = try row.time("dateTime")
            auction.expires = try row.time("expires")
            auction.seller = try row.number("seller")
            auction.category = try row.number("category")
            auction.extra = try row.text("extra")
            return auction
        }
        let bids = try EventReader("\(directory)/bid.csv").map { row in
            var bid = Bid()
            bid.auction = try row.number("auction")
            bid.bidder = try row.number("bidder")
            bid.price = try row.number("price")
            bid.channel = try row.text("channel")
            bid.url = try row.text("url")
            bid.dateTime = try row.time("dateTime")
            bid.extra = try row.text("extra")
            return bid
        }
        return Self.merged(persons, auctions, bids)
    }

    private static func merged(
        _ persons: ContiguousArray<Person>, _ auctions: ContiguousArray<Auction>,
        _ bids: ContiguousArray<Bid>
    ) -> ContiguousArray<NexmarkEvent> {
        var events = ContiguousArray<NexmarkEvent>()
        events.reserveCapacity(persons.count + auctions.count + bids.count)
        var (person, auction, bid) = (0, 0, 0)
        while true {
            let times = (
                person < persons.count ? persons[person].dateTime : .max,
                auction < auctions.count ? auctions[auction].dateTime : .max,
                bid < bids.count ? bids[bid].dateTime : .max
            )
            if person < persons.count, times.0 <= min(times.1, times.2) {
                events.append(.person(persons[person]))
                person += 1
            } else if auction < auctions.count, times.1 <= times.2 {
                events.append(.auction(auctions[auction]))
                auction += 1
            } else if bid < bids.count {
                events.append(.bid(bids[bid]))
                bid += 1
            } else {
                return events
            }
        }
    }
}

/// A file that is written line by line.
package final class LineFile {
    private let handle: FileHandle
    private var buffer: [UInt8] = []

    /// Creates the file and writes its first line.
    package init(_ path: String, header: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw EventFileError("\(path) can't be written") }
        self.handle = handle
        buffer.append(contentsOf: Array(header.utf8) + [10])
    }

    /// Writes a row.
    package func write(_ row: some ResultRow) throws {
        var writer = RowWriter()
        row.write(to: &writer)
        try write(writer.bytes)
    }

    /// Writes a line.
    package func write(_ line: [UInt8]) throws {
        buffer.append(contentsOf: line)
        buffer.append(10)
        if buffer.count > 1 << 16 { try flush() }
    }

    /// Hands over to the system what has been written.
    package func flush() throws {
        try handle.write(contentsOf: Data(buffer))
        buffer.removeAll(keepingCapacity: true)
    }

    /// Writes the rest and closes the file.
    package func close() throws {
        try flush()
        try handle.close()
    }
}

/// What is wrong with a file of events.
package struct EventFileError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
