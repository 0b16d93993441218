import Testing

@testable import WeirNetwork

@Suite struct `The negotiation of permessage-deflate` {
    struct Offer: Sendable, CustomTestStringConvertible {
        var offers: [String]
        var change: @Sendable (inout WebSocketCompression) -> Void = { _ in }
        /// The answer's parameters; nil when the offers are declined.
        var answer: String?

        init(
            _ offers: [String], _ answer: String?,
            _ change: @escaping @Sendable (inout WebSocketCompression) -> Void = { _ in }
        ) {
            self.offers = offers
            self.answer = answer
            self.change = change
        }

        var testDescription: String { offers.joined(separator: ", ") }
    }

    @Test(arguments: [
        Offer([], nil),
        Offer(["x-webkit-deflate-frame"], nil),
        Offer(["permessage-deflate"], ""),
        Offer(["permessage-deflate; client_max_window_bits"], ""),
        Offer(
            ["permessage-deflate; client_max_window_bits=10"], "; client_max_window_bits=10"),
        Offer(
            ["permessage-deflate;client_max_window_bits = \"9\""], "; client_max_window_bits=9"),
        Offer(
            ["permessage-deflate; server_max_window_bits=11"], "; server_max_window_bits=11"),
        Offer(
            ["permessage-deflate; server_max_window_bits=15"], "; server_max_window_bits=15"),
        Offer(
            [
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
            ], "; server_no_context_takeover; client_no_context_takeover"),
        // The first offer that is valid is taken.
        Offer(["permessage-deflate; unknown", "permessage-deflate"], ""),
        Offer(["permessage-deflate; server_max_window_bits=16"], nil),
        Offer(["permessage-deflate; server_max_window_bits=7"], nil),
        Offer(["permessage-deflate; server_max_window_bits=010"], nil),
        Offer(["permessage-deflate; server_max_window_bits"], nil),
        Offer(["permessage-deflate; server_no_context_takeover=1"], nil),
        Offer(["permessage-deflate; client_max_window_bits=a"], nil),
        Offer(
            ["permessage-deflate; client_max_window_bits; client_max_window_bits=10"], nil),
        Offer(["permessage-deflate;"], nil),
        Offer(
            ["permessage-deflate; client_max_window_bits"],
            "; server_no_context_takeover; client_no_context_takeover"
                + "; server_max_window_bits=12; client_max_window_bits=9",
            {
                $0.keepsWindow = false
                $0.peerKeepsWindow = false
                $0.windowBits = 12
                $0.peerWindowBits = 9
            }),
        // A client that doesn't speak of its window can't be held to one.
        Offer(["permessage-deflate"], "", { $0.peerWindowBits = 9 }),
    ]) func `answers an offer`(_ offer: Offer) {
        var wanted = WebSocketCompression()
        offer.change(&wanted)
        let accepted = DeflateNegotiation.accept(offer.offers, wanted)
        #expect(accepted?.answer == offer.answer.map { "permessage-deflate" + $0 })
        #expect(DeflateNegotiation.accept(offer.offers, nil) == nil)
    }

    struct Answer: Sendable {
        var answer: [String]
        var isFine: Bool
        var change: @Sendable (inout WebSocketCompression) -> Void = { _ in }

        init(
            _ answer: [String], _ isFine: Bool,
            _ change: @escaping @Sendable (inout WebSocketCompression) -> Void = { _ in }
        ) {
            self.answer = answer
            self.isFine = isFine
            self.change = change
        }
    }

    @Test(arguments: [
        Answer([], true),
        Answer(["permessage-deflate"], true),
        Answer(["permessage-deflate; server_no_context_takeover"], true),
        Answer(["permessage-deflate; client_max_window_bits=9"], true),
        Answer(["permessage-deflate; server_max_window_bits=9"], true),
        Answer(["permessage-deflate; client_max_window_bits"], false),
        Answer(["permessage-deflate; client_max_window_bits=12"], false, { $0.windowBits = 11 }),
        Answer(["permessage-deflate; unknown"], false),
        Answer(["permessage-deflate", "permessage-deflate"], false),
        Answer(["other"], false),
        Answer(["permessage-deflate"], false, { $0.peerKeepsWindow = false }),
        Answer(["permessage-deflate"], false, { $0.peerWindowBits = 10 }),
        Answer(
            ["permessage-deflate; server_max_window_bits=11"], false, { $0.peerWindowBits = 10 }),
        Answer(
            ["permessage-deflate; server_max_window_bits=9"], true, { $0.peerWindowBits = 10 }),
    ]) func `checks an answer`(_ answer: Answer) {
        var wanted = WebSocketCompression()
        answer.change(&wanted)
        var failure: HTTPError?
        do throws(HTTPError) {
            _ = try DeflateNegotiation.agree(answer.answer, wanted)
        } catch {
            failure = error
        }
        #expect((failure == nil) == answer.isFine, "\(answer.answer)")
    }

    @Test func `refuses an answer that was not asked for`() {
        #expect(throws: HTTPError.self) {
            _ = try DeflateNegotiation.agree(["permessage-deflate"], nil)
        }
    }

    @Test func `offers what is wanted`() {
        var wanted = WebSocketCompression()
        #expect(DeflateNegotiation.offer(wanted) == "permessage-deflate; client_max_window_bits")
        wanted.keepsWindow = false
        wanted.peerKeepsWindow = false
        wanted.windowBits = 10
        wanted.peerWindowBits = 11
        #expect(
            DeflateNegotiation.offer(wanted)
                == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
                + "; server_max_window_bits=11; client_max_window_bits=10")
    }

    /// zlib asked for a window of 256 bytes takes one of 512 without a word.
    @Test func `never compresses with a window of 8 bits, and expands it with 9`() throws {
        let wanted = WebSocketCompression()
        let server = try #require(
            DeflateNegotiation.accept(["permessage-deflate; server_max_window_bits=8"], wanted))
        #expect(server.answer == "permessage-deflate; server_max_window_bits=8")
        #expect(!server.agreement.sendsCompressed)
        let client = try #require(
            try DeflateNegotiation.agree(
                ["permessage-deflate; client_max_window_bits=8; server_max_window_bits=8"], wanted))
        #expect(!client.sendsCompressed)
        #expect(client.receiveWindowBits == 9)
    }
}
