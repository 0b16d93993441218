import Weir

/// Lines of a web server's log in, a report per window out: the whole program is this topology.
struct AccessLog {
    var file: String
    var following = FileFollowing.tail(from: .start)
    var window = Duration.seconds(60)
    var isJSON = false

    var topology: Topology {
        Topology("access-log") {
            let reports = EventStream("log", from: .lines(ofFile: file, follow: following))
                .reports(every: window)

            if isJSON {
                reports.sink(.jsonLines(to: .standardOutput))
            } else {
                reports.map { "\($0)" }.sink(.lines(to: .standardOutput))
            }
        }
    }
}

extension EventStream<String> {
    /// The log's lines, summed up per window.
    ///
    /// Lines that are none of an access log go to the dead letters.
    func reports(every length: Duration) -> EventStream<Report> {
        map { (line: String) throws(MalformedLine) in try LogLine(line) }
            .recover(from: MalformedLine.self) { _ in .deadLetter }
            // A server writes a line when the request is done, so the order is nearly that of time.
            .eventTime(
                \.at,
                .boundedOutOfOrderness(.seconds(2)).idle(after: .seconds(2), advancing: true)
            )
            .keyed(by: { _ in 0 })
            .window(.tumbling(length))
            .reduce(into: Summary(), name: "summary") { $0.add($1) }
            .map { Report($0.window, $0.value) }
    }
}
