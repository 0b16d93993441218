import ArgumentParser
import Foundation
import Histogram
import Testing
import WeirTestSupport

@testable import WeirTool

#if canImport(FoundationXML)
    import FoundationXML
#endif

@Suite(.timeLimit(.minutes(5))) struct `The comparison of two loads` {
    /// A report whose latencies are multiplied, as if another target had been measured.
    private func report(
        times factor: Double = 1, _ change: (inout LoadPlan, inout LoadRecord) -> Void = { _, _ in }
    ) throws -> LoadReport {
        var plan = LoadPlan(target: try LoadTarget("http://localhost/"))
        var record = LoadRecord()
        (record.due, record.sent, record.answered) = (10_000, 10_000, 10_000)
        record.bytesSent = 1_000_000
        record.statuses = [200: 10_000]
        for index in 1...10_000 {
            record.latency.record(UInt64(Double(index) * 1_000 * factor))
            record.lateness.record(1_000)
        }
        change(&plan, &record)
        let usage = GeneratorUsage(
            start: 0, processorNanoseconds: 1_000_000_000, wallNanoseconds: 10_000_000_000,
            wasInterrupted: false)
        return LoadReport(plan, record, connections: plan.connections, usage, [])
    }

    @Test func `shows how the times stand to each other`() throws {
        let comparison = LoadComparison(try report(), try report(times: 1.5))
        let ratios = Dictionary(uniqueKeysWithValues: comparison.rows.map { ($0.name, $0.ratio) })
        for name in ["p50", "p90", "p99", "p99.9", "max"] {
            let ratio = try #require(ratios[name] ?? nil)
            #expect(abs(ratio - 1.5) < 0.01, "\(name)")
        }
        #expect(ratios["messages/s"] == 1)
        #expect(comparison.differences.isEmpty && comparison.failures.isEmpty)
        #expect(comparison.table.contains("The loads are the same"))
    }

    @Test func `fails above a limit, on any of three percentiles, and not below`() throws {
        let first = try report()
        #expect(LoadComparison(first, try report(times: 1.08), failAbove: 0.1).failures.isEmpty)
        #expect(LoadComparison(first, try report(times: 0.2), failAbove: 0).failures.isEmpty)
        let failures = LoadComparison(first, try report(times: 1.2), failAbove: 0.1).failures
        #expect(failures.count == 3 && failures[0].hasPrefix("p50 is +20"))
        let slowTail = try report { _, record in
            for _ in 0..<150 { record.latency.record(1_000_000_000) }
        }
        let tail = LoadComparison(first, slowTail, failAbove: 0.1).failures
        #expect(tail.count == 1 && tail[0].hasPrefix("p99 is"))
    }

    @Test func `fails where messages are missing or the rate was not reached`() throws {
        let first = try report()
        let missing = try report { _, record in record.unfinished = 3 }
        #expect(
            LoadComparison(first, missing, failAbove: 0.1).failures
                == ["3 messages were not answered as expected"])
        let slow = try report { _, record in record.lastSentAt = 20_000_000_000 }
        let failures = LoadComparison(first, slow, failAbove: 0.1).failures
        #expect(failures == ["messages/s is -50.0%"])
    }

    @Test func `says in what the loads differ`() throws {
        let first = try report()
        let second = try report { plan, record in
            plan.rate = 2_000
            plan.connections = 20
            record.bytesSent = 2_000_000
        }
        let comparison = LoadComparison(first, second, failAbove: 10)
        #expect(
            comparison.differences == [
                "messages/s asked for: 1000 and 2000", "bytes of a message: 100 and 200",
                "connections: 10 and 20",
            ])
        #expect(comparison.failures.first == "the loads are not the same")
        #expect(comparison.table.contains("THE LOADS DIFFER"))
    }

    @Test func `is a command with a status`() async throws {
        let folder = try Folder()
        for (name, factor) in [("a", 1.0), ("b", 1.3)] {
            try JSONEncoder().encode(try report(times: factor))
                .write(to: URL(fileURLWithPath: folder("\(name).json")))
        }
        let (first, second) = (folder("a.json"), folder("b.json"))
        let plain = try await Tool.weir("load", "compare", first, second)
        #expect(plain.status == 0 && plain.output.contains("1.30"), "\(plain)")
        let failed = try await Tool.weir(
            "load", "compare", first, second, "--fail-above", "10%", "--plot", folder("c.svg"))
        #expect(failed.status == 1 && failed.output.contains("FAILED: p50"), "\(failed)")
        #expect(try isXML(String(contentsOfFile: folder("c.svg"), encoding: .utf8)))
        let wrong = try await Tool.weir("load", "compare", first, second, "--fail-above", "10")
        #expect(wrong.status == 64 && wrong.errors.contains("such as 10%"), "\(wrong)")
        let missing = try await Tool.weir("load", "compare", first, folder("none.json"))
        #expect(missing.status == 1 && missing.errors.contains("cannot be read"), "\(missing)")
    }

    private func isXML(_ text: String) -> Bool { XMLParser(data: Data(text.utf8)).parse() }

    @Test func `draws plots that are XML, whatever the names are`() throws {
        let report = try report()
        let svg = LatencyPlot(report, report, names: ("<a> & \"b\"", "c\u{1}\u{1F600}")).svg
        #expect(isXML(svg))
        #expect(svg.contains("&lt;a&gt; &amp; &quot;b&quot;") && svg.contains("99.9%"))
        #expect(isXML(LatencyPlot(try self.report { _, record in record = LoadRecord() }).svg))
    }

    @Test func `draws what a report says, however long it took`() throws {
        let points = [LoadReport.CurvePoint(percentile: 50, microseconds: 1e40)]
        let plot = LatencyPlot(title: "", subtitle: "", curves: [.init(name: "", points: points)])
        #expect(isXML(plot.svg))
    }

    @Test func `refuses another name for a plot than one of SVG`() throws {
        let error = #expect(throws: (any Error).self) {
            try CompareLoadsCommand.parse(["a.json", "b.json", "--plot", "c.png"])
        }
        #expect(CompareLoadsCommand.message(for: try #require(error)).contains("ends with .svg"))
    }

    @Test func `draws curves that rise, with a point for each part of a nine`() throws {
        let curve = try report().curve
        #expect(curve.count == 42)
        #expect(curve.first?.percentile == 0 && curve.last?.percentile == 100)
        #expect(curve.map(\.percentile) == curve.map(\.percentile).sorted())
        #expect(curve.map(\.microseconds) == curve.map(\.microseconds).sorted())
        let median = try #require(curve.last { $0.percentile <= 50 })
        #expect(abs(median.microseconds - median.percentile * 100) < 120)
    }
}
