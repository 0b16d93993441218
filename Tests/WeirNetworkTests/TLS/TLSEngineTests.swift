import Foundation
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

/// Two engines in memory: what one says is given to the other in pieces of any size.
@Suite struct `A TLS engine` {
    /// Both sides of a connection, and what is under way.
    private final class Pair {
        let client: TLSEngine
        let server: TLSEngine
        var toServer: [UInt8] = []
        var toClient: [UInt8] = []
        private let contexts: [AnyObject]

        convenience init(
            _ server: TLSServerConfiguration, _ client: TLSClientConfiguration
        ) throws {
            try self.init(TLSServerContext(server), TLSClientContext(client))
        }

        init(_ serverContext: TLSServerContext, _ clientContext: TLSClientContext) throws {
            contexts = [serverContext, clientContext]
            self.server = try serverContext.makeEngine(peerName: "client")
            self.client = try clientContext.makeEngine(host: "localhost", port: 1)
            self.server.output = { [unowned self] in toClient += $0 }
            self.client.output = { [unowned self] in toServer += $0 }
        }

        /// Gives one piece of what is under way to an engine, for the time of the call.
        func feed(
            _ engine: TLSEngine, _ size: Int, _ body: (TLSEngine) throws -> Void
        ) rethrows {
            var source = engine === client ? toClient : toServer
            let piece = Array(source.prefix(size))
            source.removeFirst(piece.count)
            if engine === client { toClient = source } else { toServer = source }
            try piece.withUnsafeBytes { bytes in
                engine.input = bytes
                try body(engine)
                // It has to take what there is: nothing else keeps it.
                #expect(engine.input.isEmpty)
                engine.input = UnsafeRawBufferPointer(start: nil, count: 0)
            }
        }

        /// Runs both handshakes with pieces of sizes that `next` says.
        func shakeHands(_ next: () -> Int) throws -> Bool {
            var done = (client: false, server: false)
            func step(_ engine: TLSEngine) throws -> Bool {
                switch engine.handshake() {
                case .done: return true
                case .needsInput: return false
                case .failed(let error): throw error
                }
            }
            done.client = try step(client)
            for _ in 0..<100_000 where !(done.client && done.server) {
                if !toServer.isEmpty, !done.server {
                    try feed(server, next()) { done.server = try step($0) }
                }
                if !toClient.isEmpty, !done.client {
                    try feed(client, next()) { done.client = try step($0) }
                }
            }
            return done.client && done.server
        }

        /// Moves all that is under way to an engine; returns what it reads.
        func read(_ engine: TLSEngine, _ next: () -> Int) throws -> (bytes: [UInt8], ended: Bool) {
            var bytes: [UInt8] = []
            var hasEnded = false
            while !(engine === client ? toClient : toServer).isEmpty {
                try feed(engine, next()) { engine in
                    while !hasEnded {
                        var part = [UInt8](repeating: 0, count: 1_000)
                        switch part.withUnsafeMutableBytes({ engine.read(into: $0) }) {
                        case .bytes(let count): bytes += part.prefix(count)
                        case .needsInput: return
                        case .ended: hasEnded = true
                        case .failed(let error): throw error
                        }
                    }
                }
            }
            return (bytes, hasEnded)
        }
    }

    private func pair(
        _ change: (inout TLSServerConfiguration, inout TLSClientConfiguration) -> Void = { _, _ in }
    ) async throws -> Pair {
        let certificates = try await Certificates.shared
        var (server, client) = (certificates.server(), certificates.client())
        change(&server, &client)
        return try Pair(server, client)
    }

    @Test(arguments: [1, 2, 7, 4_096])
    func `does not care how its bytes are cut`(size: Int) async throws {
        let pair = try await pair()
        #expect(try pair.shakeHands { size })
        var random = SplitMix64(seed: UInt64(size))
        for count in [1, 100, 16_384, 40_000] {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            for (from, to) in [(pair.client, pair.server), (pair.server, pair.client)] {
                #expect(bytes.withUnsafeBytes { from.write($0) } == nil)
                #expect(try pair.read(to) { size }.bytes == bytes)
            }
        }
        pair.client.sendClose()
        pair.client.sendClose()
        #expect(try pair.read(pair.server) { size }.ended)
        #expect(pair.server.hasReceivedClose)
        let late = [UInt8(1)].withUnsafeBytes { pair.client.write($0) }
        #expect(late?.code == .closed)
    }

    @Test func `does not care about random cuts either`() async throws {
        for seed in 1...20 as ClosedRange<UInt64> {
            var random = SplitMix64(seed: seed)
            let pair = try await pair()
            #expect(try pair.shakeHands { Int.random(in: 1...600, using: &random) }, "\(seed)")
        }
    }

    @Test func `refuses bytes that were changed on their way`() async throws {
        let pair = try await pair()
        #expect(try pair.shakeHands { 1_000 })
        _ = try pair.read(pair.client) { 1_000 }
        #expect([UInt8](repeating: 7, count: 100).withUnsafeBytes { pair.client.write($0) } == nil)
        pair.toServer[50] ^= 1
        let error = #expect(throws: NetworkError.self) { _ = try pair.read(pair.server) { 1_000 } }
        #expect(error?.code == .protocolViolation)
        // It has said why, and says nothing more.
        #expect(!pair.toClient.isEmpty)
        #expect([UInt8(1)].withUnsafeBytes { pair.server.write($0) } != nil)
    }

    @Test func `bytes that are no TLS fail the handshake`() async throws {
        var random = SplitMix64(seed: 5)
        for length in [1, 5, 6, 100, 3_000] {
            let pair = try await pair()
            pair.toServer = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            pair.feed(pair.server, 5) { engine in
                switch engine.handshake() {
                case .done: Issue.record("random bytes are a handshake")
                case .needsInput: #expect(length < 5)
                case .failed(let error): #expect(error.code == .handshakeFailed)
                }
                engine.input = UnsafeRawBufferPointer(start: nil, count: 0)
            }
        }
    }

    @Test func `lets nobody resume whose certificate has expired meanwhile`() async throws {
        let certificates = try await Certificates.shared
        let server = try TLSServerContext(certificates.server(clients: "ca"))
        let client = try TLSClientContext(certificates.client("client"))
        let days = 24 * 3_600
        let now = Int(Date().timeIntervalSince1970)
        for round in 0..<2 {
            let pair = try Pair(server, client)
            #expect(try pair.shakeHands { 10_000 })
            _ = try pair.read(pair.client) { 10_000 }
            #expect(pair.server.info.isResumed == (round == 1))
            #expect(pair.server.info.peer?.commonName == "till-7")
            #expect(pair.server.staleness() == nil)
            #expect(pair.server.staleness(at: now + 2 * days) == nil)
            // The certificates live three days.
            let late = pair.server.staleness(at: now + 4 * days)
            #expect(late?.code == (round == 1 ? .certificateRefused : nil))
            #expect((pair.client.staleness(at: now + 4 * days) == nil) == (round == 0))
        }
    }

    @Test func `chooses among what a client offers`() async throws {
        let certificates = try await Certificates.shared
        var configuration = certificates.server()
        configuration.applicationProtocols = ["b", "a"]
        let state = try TLSServerState(configuration)
        func choose(_ offer: [UInt8]) -> Range<Int>? {
            offer.withUnsafeBufferPointer { state.choose(from: $0) }
        }
        #expect(choose([1, 0x61, 1, 0x62]) == 3..<4)
        #expect(choose([1, 0x61]) == 1..<2)
        #expect(choose([2, 0x61, 0x62]) == nil)
        // A length beyond the end.
        #expect(choose([9, 0x61]) == nil)
        #expect(choose([]) == nil)
        configuration.applicationProtocols = [""]
        let wrong = configuration
        #expect(throws: NetworkError.self) { _ = try TLSServerState(wrong) }
    }
}
