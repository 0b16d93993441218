import Foundation
package import Weir

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) with the draws that Nexmark makes.
struct NexmarkRandom {
    var state: UInt64

    @inline(__always)
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number from 0 up to, but not, `bound`.
    @inline(__always)
    mutating func below(_ bound: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    @inline(__always)
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Log-uniform from 100 to 100,000,000: 100 times ten to the power of up to six.
    @inline(__always)
    mutating func price() -> Int {
        // A power of two takes half the time of one of ten.
        Int(exp2(unit() * 19.931568569324174) * 100 + 0.5)
    }
}

/// Makes the events of Nexmark, the same for the same seed.
///
/// The first event has the number 0. Times begin at 2026-01-01 00:00:00.
package struct NexmarkGenerator: ~Copyable {
    /// 2026-01-01 00:00:00 in milliseconds.
    package static let baseTime = 1_767_225_600_000
    static let first = 1_000
    static let hotBatch = 100

    /// The number of the next event.
    package private(set) var number = 0
    private var random: NexmarkRandom
    private let delay: Double
    private let vocabulary: Vocabulary
    private var arena = TextArena()

    /// - Parameters:
    ///   - seed: What the random numbers follow from.
    ///   - rate: Events per second of event time.
    package init(seed: UInt64 = 42, rate: Int = 100_000) {
        random = NexmarkRandom(state: seed)
        delay = 1e6 / Double(rate)
        vocabulary = Vocabulary(&random)
    }

    /// Where the generator is, to go on from there.
    package var position: SourcePosition {
        SourcePosition(offset: Int64(number), identity: random.state)
    }

    /// Goes on from where another one with the same seed was.
    package mutating func seek(to position: SourcePosition) {
        number = Int(position.offset)
        random.state = position.identity
    }

    @inline(__always)
    func time(_ number: Int) -> Int { Self.baseTime + Int(Double(number) * delay) / 1_000 }

    static func lastPerson(_ number: Int) -> Int { number / 50 }

    static func lastAuction(_ number: Int) -> Int {
        let (epoch, offset) = (number / 50, number % 50)
        if offset < 1 { return (epoch - 1) * 3 + 2 }
        return epoch * 3 + (offset >= 4 ? 2 : offset - 1)
    }

    /// The next event.
    package mutating func next() -> NexmarkEvent {
        let number = self.number
        self.number += 1
        let place = number % 50
        if place < 1 { return .person(person(number)) }
        if place < 4 { return .auction(auction(number)) }
        return .bid(bid(number))
    }

    private mutating func randomPerson(_ number: Int) -> Int {
        let people = Self.lastPerson(number) + 1
        let active = min(people, 1_000)
        return people - active + random.below(active + 10)
    }

    private mutating func randomAuction(_ number: Int) -> Int {
        let last = Self.lastAuction(number)
        let least = max(last - 100, 0)
        return least + random.below(last - least + 1 + 10)
    }

    /// Letters, now and then a special character; white space at the ends is cut off.
    static func string(
        _ longest: Int, _ special: UInt8, _ random: inout NexmarkRandom, into arena: inout TextArena
    ) -> Text {
        let length = 3 + random.below(longest - 3)
        let room = arena.room(length)
        for index in 0..<length {
            room[index] =
                random.below(13) == 0 ? special : UInt8(ascii: "a") + UInt8(random.below(26))
        }
        let text = arena.finish(length)
        let space = UInt8(ascii: " ")
        let start = text.bytes.firstIndex { $0 != space } ?? length
        let end = (text.bytes.lastIndex { $0 != space } ?? start - 1) + 1
        return text.slice(start..<max(start, end))
    }

    /// Fills an event up to its average size, more or less.
    private mutating func extra(_ current: Int, _ average: Int) -> Text {
        if current > average { return Text() }
        let missing = average - current
        let delta = Int(Double(missing) * 0.2 + 0.5)
        let length = missing - delta + (delta == 0 ? 0 : random.below(2 * delta))
        let offset = random.below(Vocabulary.letterCount - length)
        return vocabulary.letters(offset, length)
    }

    private mutating func person(_ number: Int) -> Person {
        var person = Person()
        person.id = Self.lastPerson(number) + Self.first
        let (first, last) = (random.below(11), random.below(9))
        person.name = vocabulary.names[first * 9 + last]
        person.emailAddress = emailAddress()
        person.creditCard = creditCard()
        person.city = vocabulary.cities[random.below(10)]
        person.state = vocabulary.states[random.below(6)]
        person.dateTime = time(number)
        person.extra = extra(
            8 + person.name.count + person.emailAddress.count + person.creditCard.count
                + person.city.count + person.state.count, 200)
        return person
    }

    /// An address of a user and a host.
    private mutating func emailAddress() -> Text {
        let user = Self.string(7, UInt8(ascii: " "), &random, into: &arena).bytes
        let host = Self.string(5, UInt8(ascii: " "), &random, into: &arena).bytes
        let room = arena.room(user.count + host.count + 5)
        var end = 0
        func put(_ byte: UInt8) {
            room[end] = byte
            end += 1
        }
        for byte in user { put(byte) }
        put(UInt8(ascii: "@"))
        for byte in host { put(byte) }
        for byte in ".com".utf8 { put(byte) }
        return arena.finish(end)
    }

    /// Four groups of four digits.
    private mutating func creditCard() -> Text {
        let room = arena.room(19)
        for group in 0..<4 {
            var digits = random.below(10_000)
            for place in (0..<4).reversed() {
                room[group * 5 + place] = UInt8(ascii: "0") + UInt8(digits % 10)
                digits /= 10
            }
            if group < 3 { room[group * 5 + 4] = UInt8(ascii: " ") }
        }
        return arena.finish(19)
    }

    private mutating func auction(_ number: Int) -> Auction {
        var auction = Auction()
        auction.id = Self.lastAuction(number) + Self.first
        let isHot = random.below(4) > 0
        let seller =
            isHot ? Self.lastPerson(number) / Self.hotBatch * Self.hotBatch : randomPerson(number)
        auction.seller = seller + Self.first
        auction.category = 10 + random.below(5)
        auction.initialBid = random.price()
        auction.dateTime = time(number)
        let horizon = time(number + 100 * 50 / 3) - auction.dateTime
        auction.expires = auction.dateTime + 1 + random.below(max(2 * horizon, 1))
        auction.itemName = Self.string(20, UInt8(ascii: " "), &random, into: &arena)
        auction.description = Self.string(100, UInt8(ascii: " "), &random, into: &arena)
        auction.reserve = auction.initialBid + random.price()
        auction.extra = extra(48 + auction.itemName.count + auction.description.count, 500)
        return auction
    }

    private mutating func bid(_ number: Int) -> Bid {
        var bid = Bid()
        let isHot = random.below(2) > 0
        let auction =
            isHot ? Self.lastAuction(number) / Self.hotBatch * Self.hotBatch : randomAuction(number)
        bid.auction = auction + Self.first
        let isHotBidder = random.below(4) > 0
        let bidder =
            isHotBidder
            ? Self.lastPerson(number) / Self.hotBatch * Self.hotBatch + 1 : randomPerson(number)
        // The first id twice, as the reference has it.
        bid.bidder = bidder + 2 * Self.first
        bid.price = random.price()
        let isHotChannel = random.below(2) > 0
        let channel = isHotChannel ? random.below(4) : 4 + random.below(10_000)
        (bid.channel, bid.url) = vocabulary.channels[channel]
        bid.dateTime = time(number)
        bid.extra = extra(32, 100)
        return bid
    }
}

/// The texts that events are made of.
private struct Vocabulary {
    static let letterCount = 1 << 20
    /// Of all first names with all last names.
    let names: ContiguousArray<Text>
    let cities: ContiguousArray<Text>
    let states: ContiguousArray<Text>
    /// Four hot channels, then 10,000 others, each with its address.
    let channels: ContiguousArray<(Text, Text)>
    private let text: UnsafeBufferPointer<UInt8>

    init(_ random: inout NexmarkRandom) {
        let firstNames = [
            "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter",
            "Walter",
        ]
        let lastNames = [
            "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris",
        ]
        let cityNames = [
            "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond",
            "Seattle", "Kent", "Cheyenne",
        ]
        names = ContiguousArray(
            firstNames.flatMap { first in lastNames.map { Text("\(first) \($0)") } })
        cities = ContiguousArray(cityNames.map { Text($0) })
        states = ContiguousArray(["AZ", "CA", "ID", "OR", "WA", "WY"].map { Text($0) })
        // Safety: allocated once for each generator, written here only, and never freed.
        let letters = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: Self.letterCount)
        for index in letters.indices {
            letters[index] = UInt8(ascii: "a") + UInt8(random.below(26))
        }
        text = UnsafeBufferPointer(letters)
        var arena = TextArena()
        func address() -> String {
            let parts = (0..<3).map { _ in
                NexmarkGenerator.string(5, UInt8(ascii: "_"), &random, into: &arena).description
            }
            return "https://www.nexmark.com/\(parts.joined(separator: "/"))/item.htm?query=1"
        }
        let hot = ["Google", "Facebook", "Baidu", "Apple"].map { (Text($0), Text(address())) }
        let cold = (0..<10_000).map { number in
            var url = address()
            if random.below(10) > 0 {
                let reversed = Int32(bitPattern: UInt32(number).bitReversed)
                url += "&channel_id=\(reversed == .min ? .min : abs(reversed))"
            }
            return (Text("channel-\(number)"), Text(url))
        }
        channels = ContiguousArray(hot + cold)
    }

    @inline(__always)
    func letters(_ offset: Int, _ length: Int) -> Text {
        Text(staying: UnsafeBufferPointer(rebasing: text[offset..<offset + length]))
    }
}

// Safety: nothing of it is written after `init`.
extension Vocabulary: @unchecked Sendable {}

extension UInt32 {
    fileprivate var bitReversed: UInt32 {
        var (from, to) = (self, UInt32(0))
        for _ in 0..<32 {
            to = to << 1 | from & 1
            from >>= 1
        }
        return to
    }
}
