import Foundation

/// A plot of times by percentile as SVG, light or dark as the reader has it.
///
/// Both axes are logarithmic: to the right each step is one more nine of the percentile, upwards
/// each is ten times the time.
struct LatencyPlot {
    struct Curve {
        let name: String
        let points: [LoadReport.CurvePoint]
    }

    let title: String
    let subtitle: String
    let curves: [Curve]

    private static let size = (width: 860.0, height: 500.0)
    private static let frame = (left: 78.0, right: 836.0, top: 84.0, bottom: 440.0)
    private static let colourCount = 8

    /// The largest number of nines, and the decades of microseconds, that the curves take.
    private var nines: Double {
        max(1, curves.flatMap(\.points).map { Self.nines($0.percentile) }.max() ?? 1)
    }

    private var decades: ClosedRange<Double> {
        let values = curves.flatMap(\.points).map { max(1, $0.microseconds) }
        let lowest = log10(values.min() ?? 1).rounded(.down)
        let highest = log10(values.max() ?? 10).rounded(.up)
        return lowest...max(highest, lowest + 1)
    }

    private static func nines(_ percentile: Double) -> Double {
        percentile >= 100 ? 0 : -log10(1 - percentile / 100)
    }

    // MARK: Drawing

    var svg: String {
        let (nines, decades) = (nines, decades)
        var lines = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.text(Self.size.width)) \
            \(Self.text(Self.size.height))" role="img" font-family="system-ui, sans-serif">
            """,
            "<title>\(Self.escaped(title))</title>",
            "<style>\(Self.style)</style>",
            #"<rect class="page" width="100%" height="100%"/>"#,
            Self.label(title, 24, 30, "title"),
            Self.label(subtitle, 24, 50, "faint"),
        ]
        lines += legend() + grid(nines, decades)
        for (index, curve) in curves.enumerated() {
            let path = path(curve.points, nines, decades)
            lines.append(#"<path class="curve c\#(index % Self.colourCount)" d="\#(path)"/>"#)
        }
        lines.append("</svg>")
        return lines.joined(separator: "\n") + "\n"
    }

    private func path(
        _ points: [LoadReport.CurvePoint], _ nines: Double, _ decades: ClosedRange<Double>
    ) -> String {
        var x = Self.x(0, nines)
        return points.enumerated().map { index, point in
            // The slowest message of all stands where it decides alone.
            if point.percentile < 100 { x = Self.x(Self.nines(point.percentile), nines) }
            let y = Self.y(point.microseconds, decades)
            return "\(index == 0 ? "M" : "L")\(Self.text(x)) \(Self.text(y))"
        }.joined()
    }

    private func legend() -> [String] {
        var x = Self.frame.left
        return curves.enumerated().flatMap { index, curve in
            defer { x += 44 + Double(curve.name.count) * 7.2 }
            return [
                """
                <path class="curve c\(index % Self.colourCount)" \
                d="M\(Self.text(x)) 70h20"/>
                """,
                Self.label(curve.name, x + 26, 74, "text"),
            ]
        }
    }

    private func grid(_ nines: Double, _ decades: ClosedRange<Double>) -> [String] {
        let frame = Self.frame
        var lines: [String] = []
        for decade in Int(decades.lowerBound)...Int(decades.upperBound) {
            let y = Self.text(Self.y(pow(10, Double(decade)), decades))
            let width = Self.text(frame.right - frame.left)
            lines.append(#"<path class="grid" d="M\#(Self.text(frame.left)) \#(y)h\#(width)"/>"#)
            let name = Self.time(pow(10, Double(decade)))
            lines.append(
                #"<text class="text" x="\#(Self.text(frame.left - 8))" y="\#(y)" dy="4" "#
                    + #"text-anchor="end">\#(name)</text>"#)
        }
        let ticks =
            [(0, "0%"), (-log10(0.5), "50%")]
            + (1...max(1, Int(nines))).map { (Double($0), Self.percentile($0)) }
        for (place, name) in ticks {
            let x = Self.text(Self.x(place, nines))
            let height = Self.text(frame.bottom - frame.top)
            lines.append(#"<path class="grid" d="M\#(x) \#(Self.text(frame.top))v\#(height)"/>"#)
            lines.append(
                #"<text class="text" x="\#(x)" y="\#(Self.text(frame.bottom + 20))" "#
                    + #"text-anchor="middle">\#(name)</text>"#)
        }
        let middle = Self.text((frame.left + frame.right) / 2)
        lines.append(
            #"<text class="faint" x="\#(middle)" y="\#(Self.text(frame.bottom + 44))" "#
                + #"text-anchor="middle">percentile</text>"#)
        return lines
    }

    private static func x(_ value: Double, _ nines: Double) -> Double {
        frame.left + (frame.right - frame.left) * min(1, value / nines)
    }

    private static func y(_ microseconds: Double, _ decades: ClosedRange<Double>) -> Double {
        let part =
            (log10(max(1, microseconds)) - decades.lowerBound)
            / (decades.upperBound - decades.lowerBound)
        return frame.bottom - (frame.bottom - frame.top) * min(1, max(0, part))
    }

    // MARK: Texts

    private static func percentile(_ nines: Int) -> String {
        switch nines {
        case 1: "90%"
        case 2: "99%"
        default: "99.\(String(repeating: "9", count: nines - 2))%"
        }
    }

    private static func time(_ microseconds: Double) -> String {
        switch microseconds {
        case ..<1_000: "\(text(microseconds)) µs"
        case ..<1_000_000: "\(text(microseconds / 1e3)) ms"
        default: "\(text(microseconds / 1e6)) s"
        }
    }

    private static func label(_ words: String, _ x: Double, _ y: Double, _ kind: String) -> String {
        #"<text class="\#(kind)" x="\#(text(x))" y="\#(text(y))">\#(escaped(words))</text>"#
    }

    /// A number with at most one digit behind the point.
    private static func text(_ number: Double) -> String {
        let text = String(format: "%.1f", number)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            // Other control characters cannot stand in XML at all.
            case let scalar where scalar.value < 0x20: result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static let light = [
        "#2563eb", "#9a9aa5", "#d9480f", "#2b8a3e", "#862e9c", "#0b7285", "#c2255c", "#7a5b00",
    ]
    private static let dark = [
        "#74a9ff", "#8a8a96", "#ff922b", "#69db7c", "#da77f2", "#66d9e8", "#faa2c1", "#ffd43b",
    ]

    private static let style: String = {
        func rules(
            _ page: String, _ text: String, _ faint: String, _ grid: String, _ colours: [String]
        )
            -> String
        {
            ".page{fill:\(page)}text{fill:\(text)}.faint{fill:\(faint)}.grid{stroke:\(grid)}"
                + colours.enumerated().map { ".c\($0){stroke:\($1)}" }.joined()
        }
        return "text{font-size:12px}.title{font-size:16px;font-weight:600}"
            + ".grid{fill:none;stroke-width:1}.curve{fill:none;stroke-width:2}"
            + rules("#ffffff", "#1c1c22", "#5f5f6b", "#e3e3ea", light)
            + "@media(prefers-color-scheme:dark){"
            + rules("#16161b", "#ececf1", "#a3a3b0", "#34343d", dark) + "}"
    }()
}

extension LatencyPlot {
    /// A run: its latency, and how late the generator was.
    init(_ report: LoadReport) {
        title = "\(report.measured) of \(report.target)"
        subtitle = Self.summary(report)
        curves = [
            Curve(name: report.measured, points: report.curve),
            Curve(name: "generator late", points: report.generatorCurve),
        ]
    }

    /// Steps of a search, each at its rate.
    init(_ report: LoadSearchReport) {
        let measured = report.steps.first?.report.measured ?? "latency"
        title = "\(measured) of \(report.target) by rate"
        // What held; why it went no further would not fit.
        subtitle = String(report.verdict.prefix { $0 != ";" })
        let steps = report.steps.sorted { $0.messagesPerSecond < $1.messagesPerSecond }
        curves = Self.spread(steps).map {
            Curve(name: "\(LoadReport.rate($0.messagesPerSecond))/s", points: $0.report.curve)
        }
    }

    /// As many of the elements as a plot can tell apart, the first and the last among them.
    private static func spread<Element>(_ elements: [Element]) -> [Element] {
        let most = 7
        guard elements.count > most else { return elements }
        return (0..<most).map { elements[$0 * (elements.count - 1) / (most - 1)] }
    }

    /// Two runs.
    init(_ first: LoadReport, _ second: LoadReport, names: (String, String)) {
        title = "\(first.measured): \(names.0) and \(names.1)"
        subtitle = "\(Self.summary(first)); \(Self.summary(second))"
        curves = [
            Curve(name: names.0, points: first.curve),
            Curve(name: names.1, points: second.curve),
        ]
    }

    private static func summary(_ report: LoadReport) -> String {
        "\(LoadReport.rate(report.achievedMessagesPerSecond)) messages/s, "
            + "\(report.connections) connections, \(report.due) messages"
    }
}
