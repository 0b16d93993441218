/// Writes the fields of lines of CSV (RFC 4180).
package struct RowWriter: Sendable {
    /// The lines so far; what follows the last ``endLine()`` has no end yet.
    package private(set) var bytes: [UInt8] = []
    private var isAtStart = true

    package init() {}

    /// Ends a line.
    package mutating func endLine() {
        bytes.append(10)
        isAtStart = true
    }

    /// Forgets all lines, and keeps their memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        isAtStart = true
    }

    private mutating func separate() {
        if !isAtStart { bytes.append(UInt8(ascii: ",")) }
        isAtStart = false
    }

    /// Adds a number.
    package mutating func add(_ number: Int) {
        separate()
        bytes.append(addingCapacity: 20) { text in
            if number < 0 { text.append(UInt8(ascii: "-")) }
            var rest = number.magnitude
            var divisor: UInt = 1
            while rest / divisor >= 10 { divisor *= 10 }
            while divisor > 0 {
                text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / divisor))
                rest %= divisor
                divisor /= 10
            }
        }
    }

    /// Adds a text, in quotation marks where it needs them.
    package mutating func add(_ text: Text) { add(text.bytes) }

    /// Adds a text.
    package mutating func add(_ text: String) {
        Array(text.utf8).withUnsafeBufferPointer { add($0) }
    }

    private mutating func add(_ text: UnsafeBufferPointer<UInt8>) {
        separate()
        let quote = UInt8(ascii: "\"")
        // Without an early end, so that many bytes are looked at together.
        var special: UInt8 = 0
        for byte in text {
            let isSpecial = byte == quote || byte == UInt8(ascii: ",") || byte == 10 || byte == 13
            special |= isSpecial ? 1 : 0
        }
        guard special != 0 else { return bytes.append(contentsOf: text) }
        bytes.append(quote)
        for byte in text {
            if byte == quote { bytes.append(quote) }
            bytes.append(byte)
        }
        bytes.append(quote)
    }

    /// Adds a time in milliseconds since 1970.
    package mutating func add(time: Int) {
        separate()
        TimeText.append(time, to: &bytes)
    }

    /// Adds a day.
    package mutating func add(day: Int) {
        separate()
        TimeText.appendDay(day, to: &bytes)
    }

    /// Adds a minute of a day, as `23:59`.
    package mutating func add(minute: Int) {
        separate()
        TimeText.appendMinute(minute, to: &bytes)
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
