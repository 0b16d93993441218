/// What is read is written again, and has to be read as the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: data, count: count)
    do throws(StatsDError) {
        for metric in try StatsDParser.parse(bytes) {
            let text = write(metric)
            let again = Array(text.utf8).withUnsafeBytes { try? StatsDParser.parse($0) }
            precondition(again == [metric], "\(text): \(again as Any), not \(metric)")
        }
    } catch {
        precondition((0...count).contains(error.offset))
    }
    return 0
}

func write(_ metric: StatsDMetric) -> String {
    let kinds: [StatsDMetric.Kind: String] = [
        .counter: "c", .gauge: "g", .timer: "ms", .histogram: "h", .distribution: "d", .set: "s",
    ]
    var text = "\(metric.name):"
    if metric.isChange, metric.value.sign == .plus { text += "+" }
    text += metric.member ?? "\(metric.value)"
    text += "|\(kinds[metric.kind] ?? "")|@\(metric.sampleRate)"
    if !metric.tags.isEmpty {
        text += "|#"
        text += metric.tags.map { $0.value.isEmpty ? $0.name : "\($0.name):\($0.value)" }
            .joined(separator: ",")
    }
    return text
}
