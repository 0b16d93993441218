import WeirJournal

// A trial as one line of text, and as a story.
extension Trial {
    /// For example `seed:17 order:17 batch:3 uneven in:payments=3,9 1:c12 1:x40~3 2:c5`.
    var text: String {
        var words = ["seed:\(seed)", "order:\(order)", "batch:\(batchSize)"]
        if isUneven { words.append("uneven") }
        if isReordered { words.append("reordered") }
        if !parallelism.isEmpty {
            words.append("instances:\(parallelism.map(String.init).joined(separator: ","))")
        }
        for (name, kept) in events.sorted(by: { $0.key < $1.key }) {
            let numbers = kept.map(String.init).joined(separator: ",")
            words.append("in:\(Self.escape(name))=\(numbers)")
        }
        for injection in injections {
            words.append("\(injection.life + 1):\(injection.fault.code)")
        }
        return words.joined(separator: " ")
    }

    init(_ text: String) throws(TrialTextError) {
        self.init(seed: 0)
        for word in text.split(separator: " ") {
            guard take(word) else { throw TrialTextError(word: String(word)) }
        }
    }

    private mutating func take(_ word: Substring) -> Bool {
        if word == "uneven" {
            isUneven = true
            return true
        }
        if word == "reordered" {
            isReordered = true
            return true
        }
        let parts = word.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return false }
        switch parts[0] {
        case "seed": return UInt64(parts[1]).map { seed = $0 } != nil
        case "order": return UInt64(parts[1]).map { order = $0 } != nil
        case "batch": return Int(parts[1]).map { batchSize = max(1, $0) } != nil
        case "instances":
            guard let numbers = Self.numbers(parts[1], from: 1) else { return false }
            parallelism = numbers
            return true
        case "in":
            let sides = parts[1].split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, let kept = Self.numbers(sides[1], from: 0) else {
                return false
            }
            events[Self.unescape(sides[0])] = kept
            return true
        default:
            guard let life = Int(parts[0]), life > 0, let fault = Fault(code: parts[1]) else {
                return false
            }
            injections.append(Injection(life: life - 1, fault: fault))
            return true
        }
    }

    /// The numbers of a list; nil when one is none, or lower than the least that is allowed.
    private static func numbers(_ list: Substring, from least: Int) -> [Int]? {
        let words = list.split(separator: ",")
        let numbers = words.compactMap { Int($0) }.filter { $0 >= least }
        return numbers.count == words.count ? numbers : nil
    }

    private static func escape(_ name: String) -> String {
        name.utf8.map { byte in
            let isPlain =
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
            return isPlain ? String(UnicodeScalar(byte)) : "%\(byte)."
        }.joined()
    }

    private static func unescape(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text
        while let first = rest.popFirst() {
            if first == "%", let end = rest.firstIndex(of: "."), let byte = UInt8(rest[..<end]) {
                bytes.append(byte)
                rest = rest[rest.index(after: end)...]
            } else {
                bytes.append(contentsOf: String(first).utf8)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What is special about the run, line by line.
    var story: [String] {
        var lines: [String] = []
        let order = order == 0 ? "first come, first served" : "in the order of seed \(self.order)"
        lines.append("stages take turns \(order), batches of at most \(batchSize)")
        if isUneven { lines.append("the sources send unevenly, as seed \(seed) says") }
        if isReordered { lines.append("the events come in the order of seed \(seed)") }
        for life in parallelism.indices {
            let later = life == parallelism.count - 1 ? " and later" : ""
            lines.append("life \(life + 1)\(later): parallelism \(parallelism[life])")
        }
        for injection in injections {
            lines.append("life \(injection.life + 1): \(injection.fault.story)")
        }
        return lines
    }
}

/// A text is not one that a failure has printed.
struct TrialTextError: Error, CustomStringConvertible {
    let word: String
    var description: String { "'\(word)' doesn't belong to the description of a simulated run" }
}

extension Fault {
    var code: String {
        switch self {
        case .checkpoint(let step): "c\(step)"
        case .handlerError(let transaction, let isDone): "\(isDone ? "H" : "h")\(transaction)"
        case .writeError(let write): "w\(write)"
        case .diskError(let kind, let call, let isFull, let times):
            "\(isFull ? "D" : "d")\(call)*\(times)@\(Self.number(of: kind))"
        case .crashAtStep(let step, let loss): "x\(step)\(loss.map { "~\($0)" } ?? "")"
        case .crashAfterCall(let call, let loss): "y\(call)\(loss.map { "~\($0)" } ?? "")"
        }
    }

    init?(code: Substring) {
        guard let letter = code.first else { return nil }
        let rest = code.dropFirst()
        let sides = rest.split(separator: "~")
        let number = sides.first.flatMap { Int($0) }
        let loss = sides.count == 2 ? UInt64(sides[1]) : nil
        switch (letter, number) {
        case ("c", let step?): self = .checkpoint(step: step)
        case ("h", let transaction?): self = .handlerError(transaction: transaction, isDone: false)
        case ("H", let transaction?): self = .handlerError(transaction: transaction, isDone: true)
        case ("w", let write?): self = .writeError(write: write)
        case ("x", let step?): self = .crashAtStep(step, loss: loss)
        case ("y", let call?): self = .crashAfterCall(call, loss: loss)
        case ("d", nil), ("D", nil):
            let parts = rest.split { $0 == "*" || $0 == "@" }.compactMap { Int($0) }
            guard parts.count == 3, let kind = Self.kind(parts[2]) else { return nil }
            self = .diskError(kind, call: parts[0], isFull: letter == "D", times: parts[1])
        default: return nil
        }
    }

    private static func number(of kind: SimulatedFileSystem.Kind) -> Int {
        SimulatedFileSystem.Kind.allCases.firstIndex(of: kind) ?? 0
    }

    private static func kind(_ number: Int) -> SimulatedFileSystem.Kind? {
        let all = SimulatedFileSystem.Kind.allCases
        return all.indices.contains(number) ? all[number] : nil
    }

    var story: String {
        switch self {
        case .checkpoint(let step): return "a checkpoint is asked for at step \(step)"
        case .handlerError(let transaction, let isDone):
            return "transaction \(transaction) fails \(isDone ? "when it is done" : "at once")"
        case .writeError(let write): return "write \(write) of the simulated sinks fails"
        case .diskError(let kind, let call, let isFull, let times):
            let error = isFull ? "no space is left" : "the device fails"
            return "'\(kind.rawValue)' \(call) of the disk fails \(times) times: \(error)"
        case .crashAtStep(let step, let loss):
            return "\(Self.crash(loss)) at step \(step)"
        case .crashAfterCall(let call, let loss):
            return "\(Self.crash(loss)) after call \(call) of the disk"
        }
    }

    private static func crash(_ loss: UInt64?) -> String {
        loss.map { "the machine loses power (loss \($0))" } ?? "the process is killed"
    }
}
