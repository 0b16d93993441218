import ArgumentParser
import Foundation
import Testing

@testable import WeirTool

@Suite struct `The rates of a load` {
    @Test func `are read from steps and ramps`() throws {
        #expect(try Rates.steps("1000,2000,5000") == .steps([1_000, 2_000, 5_000]))
        #expect(try Rates.ramp("1000..3500/1000") == .steps([1_000, 2_000, 3_000]))
        #expect(try Rates.ramp("0.5..2/0.5") == .steps([0.5, 1, 1.5, 2]))
        #expect(try Rates.ramp("500..100") == .linear(from: 500, to: 100))
    }

    @Test func `have bounds on percentiles`() throws {
        #expect(try LatencyBound("p99=5ms").microseconds == 5_000)
        #expect(try LatencyBound("p99.9=1.5s") == LatencyBound("p99.9=1500ms"))
        #expect(try LatencyBound("max=200us").text == "max of 200 µs")
    }

    /// Searches with a target whose limit is known.
    private func search(_ steps: [Double], limit: Double) -> (tried: [Double], found: Double?) {
        var search = RateSearch(steps, stopsAtFirstBad: true)
        var tried: [Double] = []
        while let rate = search.next {
            tried.append(rate)
            search.tried(isGood: rate <= limit)
        }
        return (tried, search.highestGood)
    }

    @Test func `are tried in order, and halved behind the first that is bad`() {
        let (tried, found) = search([1_000, 2_000, 5_000, 9_000], limit: 3_100)
        #expect(tried == [1_000, 2_000, 5_000, 3_500, 2_750, 3_125, 2_938, 3_032])
        #expect(found == 3_032)
    }

    @Test(arguments: Array(stride(from: 150.0, to: 10_000, by: 333)))
    func `come close to the limit in a few tries`(limit: Double) throws {
        let steps = (1...10).map { Double($0) * 1_000 }
        let (tried, found) = search(steps, limit: limit)
        if limit < 1_000 {
            #expect(tried == [1_000] && found == nil)
        } else {
            let found = try #require(found)
            #expect(found <= limit && found >= limit * 0.94)
            #expect(tried.count <= Int(limit / 1_000) + 1 + RateSearch.attemptsMax)
        }
    }

    @Test func `are all tried without a bound, and where all are good`() {
        #expect(search([1, 2, 3], limit: 10).tried == [1, 2, 3])
        var search = RateSearch([1, 2, 3], stopsAtFirstBad: false)
        var tried: [Double] = []
        while let rate = search.next {
            tried.append(rate)
            search.tried(isGood: rate != 2)
        }
        #expect(tried == [1, 2, 3] && search.highestGood == 3)
    }
}

@Suite(.timeLimit(.minutes(5))) struct `A search for the highest rate` {
    @Test func `reports every step, and stops where answers are missing`() async throws {
        // From the 61st request on nothing is answered as expected.
        let target = try await HTTPTarget { request in .status(request.number < 60 ? 200 : 503) }
        let plan = try target.plan { $0.duration = .milliseconds(100) }
        let bound = try LatencyBound("max=1000s")
        let search = try LoadSearch(plan, rates: [200, 400, 2_000], bound: bound)
        var lines: [String] = []
        let report = try await search.run(onStep: { lines.append($0.line) })
        // A machine that holds the generator up may end it before that.
        if report.bottleneck != "generator" {
            #expect(report.steps.prefix(3).map(\.messagesPerSecond) == [200, 400, 2_000])
            #expect(report.steps.prefix(3).map(\.held) == [true, true, false])
            #expect(report.steps[2].reason?.contains("had another status") == true)
            #expect(report.steps.dropFirst(3).allSatisfy { !$0.held })
            #expect(report.highestMessagesPerSecond == 400)
            #expect(report.steps.count == 3 + RateSearch.attemptsMax)
            #expect(report.bottleneck == "target")
        }
        #expect(lines.count == report.steps.count)
        let bytes = try JSONEncoder().encode(report)
        let read = try JSONDecoder().decode(LoadSearchReport.self, from: bytes)
        #expect(read.steps.map(\.held) == report.steps.map(\.held))
        #expect(read.steps.first?.report.due == 20)
        #expect(report.table.contains(report.verdict))
        await target.stop()
    }

    @Test func `says that a bound held at no step`() async throws {
        let target = try await HTTPTarget()
        let plan = try target.plan { $0.messages = 20 }
        let search = try LoadSearch(
            plan, rates: [1_000, 2_000], bound: try LatencyBound("p50=0.001us"))
        let report = try await search.run()
        #expect(report.steps.count == 1 && report.highestMessagesPerSecond == nil)
        #expect(report.verdict.contains("at no step"))
        await target.stop()
    }

    @Test func `shows a ramp second by second`() async throws {
        let target = try await HTTPTarget()
        let plan = try SendLoadCommand.parse([
            target.url, "--ramp", "50..250", "--duration", "2.5", "--grace", "60",
        ]).plan()
        let report = try await LoadRun(plan).run()
        #expect(report.due == 375 && report.answered == 375)
        #expect(abs(report.askedMessagesPerSecond - 150) < 0.5)
        #expect(report.lastMessagesPerSecond == 250)
        #expect(report.perSecond.count >= 2)
        #expect(report.perSecond.reduce(0) { $0 + $1.count } == 375)
        #expect(report.table.contains("messages/s        p50"))
        await target.stop()
    }
}
