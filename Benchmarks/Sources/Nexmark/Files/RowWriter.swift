/// Writes the fields of a line of CSV (RFC 4180), without its end.
package struct RowWriter: Sendable {
    /// The line so far.
    package private(set) var line: [UInt8] = []

    package init() {}

    private mutating func separate() {
        if !line.isEmpty { line.append(UInt8(ascii: ",")) }
    }

    /// Adds a number.
    package mutating func add(_ number: Int) {
        separate()
        line.append(contentsOf: String(number).utf8)
    }

    /// Adds a text, in quotation marks where it needs them.
    package mutating func add(_ text: Text) { add(text.bytes) }

    /// Adds a text.
    package mutating func add(_ text: String) { add(Array(text.utf8)) }

    private mutating func add(_ bytes: some Collection<UInt8>) {
        separate()
        let quote = UInt8(ascii: "\"")
        let needsQuotes = bytes.contains {
            $0 == quote || $0 == UInt8(ascii: ",") || $0 == 10 || $0 == 13
        }
        guard needsQuotes else { return line.append(contentsOf: bytes) }
        line.append(quote)
        for byte in bytes {
            if byte == quote { line.append(quote) }
            line.append(byte)
        }
        line.append(quote)
    }

    /// Adds a time in milliseconds since 1970.
    package mutating func add(time: Int) {
        separate()
        TimeText.append(time, to: &line)
    }

    /// Adds a day.
    package mutating func add(day: Int) {
        separate()
        TimeText.appendDay(day, to: &line)
    }

    /// Adds a minute of a day, as `23:59`.
    package mutating func add(minute: Int) {
        separate()
        TimeText.appendMinute(minute, to: &line)
    }

    /// Adds a number of thousandths, with three decimals.
    package mutating func add(thousandths: Int) {
        let rest = String(thousandths.magnitude % 1_000)
        let sign = thousandths < 0 ? "-" : ""
        add(
            sign + "\(thousandths.magnitude / 1_000)."
                + String(repeating: "0", count: 3 - rest.count) + rest)
    }
}

/// A line of a query's result.
package protocol ResultRow: Hashable, Sendable {
    /// The names of the fields, separated by commas.
    static var header: String { get }
    /// Writes the fields.
    func write(to line: inout RowWriter)
}

extension Person: ResultRow {
    package static let header = "id,name,emailAddress,creditCard,city,state,dateTime,extra"

    package func write(to line: inout RowWriter) {
        line.add(id)
        for text in [name, emailAddress, creditCard, city, state] { line.add(text) }
        line.add(time: dateTime)
        line.add(extra)
    }
}

extension Auction: ResultRow {
    package static let header =
        "id,itemName,description,initialBid,reserve,dateTime,expires,seller,category,extra"

    package func write(to line: inout RowWriter) {
        line.add(id)
        line.add(itemName)
        line.add(description)
        line.add(initialBid)
        line.add(reserve)
        line.add(time: dateTime)
        line.add(time: expires)
        line.add(seller)
        line.add(category)
        line.add(extra)
    }
}

extension Bid: ResultRow {
    package static let header = "auction,bidder,price,channel,url,dateTime,extra"

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(bidder)
        line.add(price)
        line.add(channel)
        line.add(url)
        line.add(time: dateTime)
        line.add(extra)
    }
}
