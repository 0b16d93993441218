import Synchronization
import WeirJournal

/// Writes what one stage instance contributes to a checkpoint, on the store's thread.
final class PartWriter: Sendable {
    /// How many portions may wait to be written before the stage holds back.
    static let limit = 8

    private struct State: Sendable {
        var buffer: [UInt8] = []
        var sealer: PartSealer?
        var file: (any StoredFile)?
        var written = 0
        var sections = 0
        /// How many entries of each state are as in a new run.
        var unchanged: [String: Int] = [:]
        var error: (any Error)?
    }

    let service: CheckpointService
    let checkpoint: Int
    private let path: String
    private let files: any FileSystem
    private let outstanding = Atomic<Int>(0)
    private let wake: @Sendable () -> Void
    private let state = Mutex(State())

    init(
        service: CheckpointService, checkpoint: Int, path: String, files: any FileSystem,
        wake: @escaping @Sendable () -> Void
    ) {
        self.service = service
        self.checkpoint = checkpoint
        self.path = path
        self.files = files
        self.wake = wake
        if let cipher = service.store.cipher {
            state.withLock { $0.sealer = PartSealer(cipher) }
        }
    }

    /// Whether the stage should wait before it captures more.
    var isFull: Bool { outstanding.load(ordering: .acquiring) >= Self.limit }

    /// Has a portion written in the background.
    func add(id: String, _ portion: CapturedPortion) {
        submit { [self] in
            let isChanged = try portion.encode { group, bytes in
                try append(PartSection(id: id, group: group, bytes: bytes))
            }
            if !isChanged { state.withLock { $0.unchanged[id, default: 0] += portion.entries } }
        }
    }

    /// Has the file made durable and reports the part as done.
    func finish(_ part: Manifest.Part) {
        submit { [self] in
            var part = part
            try close()
            state.withLock { state in
                part.bytes = state.written
                part.sections = state.sections
                for index in part.states.indices {
                    part.states[index].entries -= state.unchanged[part.states[index].id] ?? 0
                }
            }
            service.partDone(part, checkpoint: checkpoint)
        }
    }

    private func submit(_ job: @escaping @Sendable () throws -> Void) {
        outstanding.add(1, ordering: .acquiringAndReleasing)
        service.thread.submit { [self] in
            if state.withLock({ $0.error == nil }) {
                do {
                    try job()
                } catch {
                    fail(error)
                }
            }
            outstanding.subtract(1, ordering: .acquiringAndReleasing)
            wake()
        }
    }

    private func fail(_ error: any Error) {
        state.withLock { state in
            state.error = error
            state.buffer = []
            state.file?.close()
            state.file = nil
        }
        service.partFailed(error, checkpoint: checkpoint)
    }

    private func append(_ section: PartSection) throws {
        try state.withLock { state in
            if var sealer = state.sealer {
                try section.append(to: &state.buffer, sealer: &sealer)
                state.sealer = sealer
            } else {
                section.append(to: &state.buffer)
            }
            state.sections += 1
            if state.buffer.count >= 1 << 20 { try Self.flush(&state, path, files) }
        }
    }

    private static func flush(_ state: inout State, _ path: String, _ files: any FileSystem) throws
    {
        let file = try state.file ?? files.open(path, .createNew)
        state.file = file
        try file.write(state.buffer, at: state.written)
        state.written += state.buffer.count
        state.buffer.removeAll(keepingCapacity: true)
    }

    private func close() throws {
        try state.withLock { state in
            try Self.flush(&state, path, files)
            try state.file?.synchronize()
            state.file?.close()
            state.file = nil
        }
    }
}
