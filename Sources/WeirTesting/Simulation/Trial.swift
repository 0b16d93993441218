import WeirJournal

/// What is made to happen during one life of the simulated process.
enum Fault: Sendable, Hashable {
    /// A checkpoint is asked for before the step of this number.
    case checkpoint(step: Int)
    /// A transaction fails, before anything of it is done or when all of it is.
    case handlerError(transaction: Int, isDone: Bool)
    /// A write of a simulated sink fails.
    case writeError(write: Int)
    /// Calls of the file system fail.
    case diskError(SimulatedFileSystem.Kind, call: Int, isFull: Bool, times: Int)
    /// The process ends before the step of this number; with a seed for what the disk loses, the
    /// machine does.
    case crashAtStep(Int, loss: UInt64?)
    /// The same, directly after a call of the file system.
    case crashAfterCall(Int, loss: UInt64?)

    var isCrash: Bool {
        switch self {
        case .crashAtStep, .crashAfterCall: true
        default: false
        }
    }

    var isCheckpoint: Bool {
        if case .checkpoint = self { true } else { false }
    }
}

/// A fault, and which of the process's lives it belongs to.
struct Injection: Sendable, Hashable {
    var life: Int
    var fault: Fault
}

/// How much happens in a life: the range from which the moments of faults are drawn.
struct RunSize: Sendable, Hashable {
    var steps = 0
    var calls = 0
    var transactions = 0
    var writes = 0
    var callsOfKind: [SimulatedFileSystem.Kind: Int] = [:]
}

/// One run of a simulation with everything that was drawn for it: equal trials give equal runs.
struct Trial: Sendable, Hashable {
    /// Decides batch sizes, delays and the order of inputs.
    var seed: UInt64
    /// Decides the order of the stages' turns; 0 is first come, first served.
    var order: UInt64 = 0
    var batchSize = 512
    /// Whether sources send at random moments and in batches of random sizes.
    var isUneven = false
    var isReordered = false
    /// The instances of keyed stages in each life, the last number also in those after it; none for
    /// the lowest number allowed.
    var parallelism: [Int] = []
    /// The events kept of inputs from which some were left out.
    var events: [String: [Int]] = [:]
    var injections: [Injection] = []

    /// The run that all others are compared with.
    static func reference(of trial: Trial) -> Trial {
        Trial(seed: 0, events: trial.events)
    }

    /// A run without faults, but in an order of its own.
    static func calm(seed: UInt64, options: SimulationOptions) -> Trial {
        var random = SimulatedRandom(seed: seed &* 0x2545_F491_4F6C_DD1D)
        var trial = Trial(
            seed: seed, order: seed, batchSize: [1, 2, 3, 7, 64, 512][random.below(6)],
            isUneven: seed != 0, isReordered: options.reordering > 0 && seed != 0)
        trial.drawParallelism(options, &random)
        return trial
    }

    /// Draws a number of instances for each life that there may be, or none when there is no choice.
    private mutating func drawParallelism(
        _ options: SimulationOptions, _ random: inout SimulatedRandom
    ) {
        let range = options.parallelism
        if range.count == 1 { return }
        // Behind a crash there are two lives that may end with an error.
        parallelism = (0...(options.crashes + 2)).map { _ in
            range.lowerBound + random.below(range.count)
        }
    }

    func parallelism(of life: Int, otherwise lowest: Int) -> Int {
        parallelism.isEmpty ? lowest : parallelism[min(life, parallelism.count - 1)]
    }

    func faults(of life: Int) -> [Fault] {
        injections.filter { $0.life == life }.map(\.fault)
    }

    /// Draws faults for all the lives of a run.
    mutating func drawFaults(_ size: RunSize, _ options: SimulationOptions, attempt: UInt64 = 0) {
        var random = SimulatedRandom(
            seed: (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15 &+ attempt &* 0xD1B5_4A32_D192_ED03)
        injections = []
        let crashes = options.crashes == 0 ? 0 : 1 + random.below(options.crashes)
        for life in 0...crashes {
            drawCheckpoints(life, size, options, &random)
            drawErrors(life, size, options, &random)
            if life < crashes {
                let loss = random.below(3) == 0 ? nil : random.next() % 1_000_000
                let isCall = random.below(2) == 0 && size.calls > 0
                let fault: Fault =
                    isCall
                    ? .crashAfterCall(random.below(size.calls + 1), loss: loss)
                    : .crashAtStep(1 + random.below(size.steps + 1), loss: loss)
                injections.append(Injection(life: life, fault: fault))
            }
        }
    }

    /// Has checkpoints taken at even distances in the first life, and no other faults.
    mutating func drawCheckpoints(_ size: RunSize, _ options: SimulationOptions) {
        let count = options.checkpoints
        injections = (0..<count).map { index in
            Injection(life: 0, fault: .checkpoint(step: 1 + size.steps * (index + 1) / (count + 1)))
        }
    }

    private mutating func drawCheckpoints(
        _ life: Int, _ size: RunSize, _ options: SimulationOptions, _ random: inout SimulatedRandom
    ) {
        let gap = 1 + random.below(max(1, size.steps / 2))
        var step = 0
        for _ in 0..<random.below(options.checkpoints + 1) {
            step += 1 + random.below(2 * gap)
            if step > size.steps { break }
            injections.append(Injection(life: life, fault: .checkpoint(step: step)))
        }
    }

    private mutating func drawErrors(
        _ life: Int, _ size: RunSize, _ options: SimulationOptions, _ random: inout SimulatedRandom
    ) {
        if size.transactions > 0 {
            for _ in 0..<random.below(options.handlerErrors + 1) {
                let fault = Fault.handlerError(
                    transaction: random.below(size.transactions), isDone: random.below(2) == 0)
                injections.append(Injection(life: life, fault: fault))
            }
        }
        if size.writes > 0 {
            for _ in 0..<random.below(options.writeErrors + 1) {
                injections.append(
                    Injection(life: life, fault: .writeError(write: random.below(size.writes))))
            }
        }
        let kinds = Self.failingKinds.filter { size.callsOfKind[$0, default: 0] > 0 }
        if kinds.isEmpty { return }
        for _ in 0..<random.below(options.diskErrors + 1) {
            let kind = kinds[random.below(kinds.count)]
            let isFull = kind == .write && random.below(2) == 0
            let fault = Fault.diskError(
                kind, call: random.below(size.callsOfKind[kind, default: 1]), isFull: isFull,
                times: isFull ? 1 + random.below(5) : 1)
            injections.append(Injection(life: life, fault: fault))
        }
    }

    private static let failingKinds: [SimulatedFileSystem.Kind] = [
        .open, .rename, .read, .write, .truncate, .synchronize, .syncDirectory,
    ]

    /// The same faults at the corresponding moments of a run of another size.
    func scaled(from old: RunSize, to new: RunSize) -> Trial {
        var scaled = self
        for index in injections.indices {
            scaled.injections[index].fault = injections[index].fault.scaled(from: old, to: new)
        }
        return scaled
    }
}

extension Fault {
    fileprivate func scaled(from old: RunSize, to new: RunSize) -> Fault {
        func scale(_ number: Int, _ part: (RunSize) -> Int) -> Int {
            part(old) == 0 ? number : number * part(new) / part(old)
        }
        switch self {
        case .checkpoint(let step): return .checkpoint(step: max(1, scale(step, \.steps)))
        case .handlerError(let transaction, let isDone):
            return .handlerError(
                transaction: scale(transaction, \.transactions), isDone: isDone)
        case .writeError(let write): return .writeError(write: scale(write, \.writes))
        case .diskError(let kind, let call, let isFull, let times):
            return .diskError(
                kind, call: scale(call) { $0.callsOfKind[kind, default: 0] }, isFull: isFull,
                times: times)
        case .crashAtStep(let step, let loss):
            return .crashAtStep(max(1, scale(step, \.steps)), loss: loss)
        case .crashAfterCall(let call, let loss):
            return .crashAfterCall(scale(call, \.calls), loss: loss)
        }
    }
}
