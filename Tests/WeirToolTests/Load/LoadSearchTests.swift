import ArgumentParser
import Foundation
import Histogram
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
    @Test func `runs every step, and reports each`() async throws {
        let target = try await HTTPTarget()
        let plan = try target.plan { $0.duration = .milliseconds(100) }
        let search = try LoadSearch(plan, rates: [200, 400, 2_000], bound: nil)
        var lines: [String] = []
        let report = try await search.run(onStep: { lines.append($0.line) })
        #expect(report.steps.map(\.messagesPerSecond) == [200, 400, 2_000])
        #expect(report.steps.map(\.report.due) == [20, 40, 200])
        #expect(target.requests.count == 260 && lines.count == 3)
        let bytes = try JSONEncoder().encode(report)
        let read = try JSONDecoder().decode(LoadSearchReport.self, from: bytes)
        #expect(read.steps.map(\.held) == report.steps.map(\.held))
        #expect(read.steps.map(\.report.answered) == [20, 40, 200])
        #expect(report.table.contains(report.verdict))
        await target.stop()
    }

    /// A step of 1,000 messages a second for a second, with latencies up to a time.
    private func step(
        _ bound: LatencyBound?, upTo microseconds: Int = 1_000, late: UInt64 = 1,
        _ change: (inout LoadRecord) -> Void = { _ in }
    ) throws -> LoadSearchReport.Step {
        var plan = LoadPlan(target: try LoadTarget("http://localhost/"))
        plan.duration = .seconds(1)
        var record = LoadRecord()
        (record.due, record.sent, record.answered) = (1_000, 1_000, 1_000)
        for index in 1...1_000 {
            record.latency.record(UInt64(index * microseconds))
            record.lateness.record(late * 1_000)
        }
        change(&record)
        let usage = GeneratorUsage(
            start: 0, processorNanoseconds: 1, wallNanoseconds: 1_000_000_000,
            wasInterrupted: false)
        let report = LoadReport(plan, record, connections: 10, usage, [])
        return LoadSearchReport.Step(1_000, report, bound)
    }

    @Test func `holds while all is answered, as fast as asked, within the bound`() throws {
        let bound = try LatencyBound("p90=910us")
        #expect(try step(bound).held)
        #expect(try step(nil).held)
        #expect(try step(bound, upTo: 2_000).reason?.hasPrefix("p90 was 1.80") == true)
        #expect(try step(nil, upTo: 2_000).held)
        #expect(
            try step(bound) { $0.unfinished = 2 }.reason
                == "2 messages were not taken or answered")
        #expect(try step(bound) { $0.refused = 1 }.reason == "1 answers had another status")
        #expect(
            try step(nil) { $0.lastSentAt = 1_020_000_000 }.reason == "only 980 messages/s")
    }

    @Test func `names the generator where it was late and the bound broke`() throws {
        let bound = try LatencyBound("p90=15ms")
        // Late, but what it measured is within the bound all the same.
        #expect(try step(bound, upTo: 12_000, late: 11_000).held)
        let bad = try step(bound, upTo: 20_000, late: 11_000)
        #expect(bad.reason?.hasSuffix("while the generator was late") == true)
        let report = LoadSearchReport(
            target: "t", bound: bound, steps: [bad], highest: nil, wasInterrupted: false,
            failure: nil)
        #expect(report.bottleneck == "generator")
        #expect(report.verdict.contains("The limit found is the generator's"))
        #expect(try step(bound, upTo: 20_000).reason?.contains("generator") == false)
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
