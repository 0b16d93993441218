import DequeModule
import WeirBinary
import WeirJournal

// Safety: only the mailbox's state machine uses it, under the mailbox's lock.
/// The part of a mailbox that is on disk: batches in files that are gone with the process.
///
/// Batches keep their order with the signals among them. The oldest file is removed when all of it has been read.
///
/// Confined to the lock of its mailbox. Its calls block for as long as a write into the page cache takes.
final class SpillQueue: @unchecked Sendable {
    /// Where a delivery is.
    private enum Entry {
        case memory(Delivery)
        case disk(channel: Int, weight: Int, file: Int, offset: Int, length: Int)

        var channel: Int {
            switch self {
            case .memory(let delivery): delivery.channel
            case .disk(let channel, _, _, _, _): channel
            }
        }

        var weight: Int {
            if case .disk(_, let weight, _, _, _) = self { weight } else { 0 }
        }

        var file: Int? {
            if case .disk(_, _, let file, _, _) = self { file } else { nil }
        }
    }

    /// A file begins anew at this size.
    private static let fileSize = 64 << 20

    private let directory: String
    private let limit: Int
    private let files: any FileSystem
    private var entries = Deque<Entry>()
    private var open: [Int: any StoredFile] = [:]
    private var current = 0
    private var end = 0
    private var codecs: [Int: SpillCodec] = [:]
    /// How many bytes wait on disk.
    private(set) var byteCount = 0
    /// How many events wait on disk.
    private(set) var depth = 0
    /// Whether it had no room for what was offered last, and nothing has been taken since.
    private(set) var isFull = false
    /// How many events could not be read back.
    private(set) var lost = 0

    init(directory: String, limit: Int, files: any FileSystem = LocalFileSystem()) {
        self.directory = directory
        self.limit = limit
        self.files = files
    }

    deinit {
        for file in open.values { file.close() }
    }

    var isEmpty: Bool { entries.isEmpty }

    /// Whether something waits that may be taken.
    func hasAvailable(heldChannels: Set<Int>) -> Bool {
        if heldChannels.isEmpty { return !entries.isEmpty }
        return entries.contains { !heldChannels.contains($0.channel) }
    }

    /// Takes a delivery in behind those that wait; false when there is no room on disk, or it can't be written.
    func append(_ delivery: Delivery) -> Bool {
        guard case .batch(let batch) = delivery.item, batch.count > 0 else {
            entries.append(.memory(delivery))
            return true
        }
        isFull = true
        guard byteCount < limit, let codec = codecs[delivery.channel] ?? batch.spillCodec,
            let bytes = try? codec.encode(batch)
        else { return false }
        codecs[delivery.channel] = codec
        // A disk that can't take more makes the sender wait, as a full one does.
        guard (try? write(bytes)) != nil else { return false }
        isFull = false
        entries.append(
            .disk(
                channel: delivery.channel, weight: batch.count, file: current, offset: end,
                length: bytes.count))
        end += bytes.count
        byteCount += bytes.count
        depth += batch.count
        return true
    }

    private func write(_ bytes: [UInt8]) throws(StorageError) {
        if open[current] == nil || end >= Self.fileSize {
            if open[current] != nil { current += 1 }
            end = 0
            open[current] = try makeFile()
        }
        guard let file = open[current] else { return }
        try file.write(bytes, at: end)
    }

    /// A file without a name, so that nothing stays when the process is killed.
    private func makeFile() throws(StorageError) -> any StoredFile {
        try files.createDirectory(directory)
        let path = "\(directory)/weir-spill-\(UInt64.random(in: .min ... .max))"
        let file = try files.open(path, .createNew)
        try files.remove(path)
        return file
    }

    /// Takes out what fits into `room` events, oldest first, leaving out channels that are held.
    ///
    /// What can't be read back is lost, and counted.
    func take(room: Int, heldChannels: Set<Int>) -> [Delivery] {
        var taken: [Delivery] = []
        var left: [Entry] = []
        var weight = 0
        while let entry = entries.first {
            if heldChannels.contains(entry.channel) {
                left.append(entry)
                entries.removeFirst()
                continue
            }
            if weight > 0, weight + entry.weight > room { break }
            entries.removeFirst()
            weight += entry.weight
            do {
                if let delivery = try read(entry) { taken.append(delivery) }
            } catch {
                lost += entry.weight
            }
        }
        entries.prepend(contentsOf: left)
        isFull = false
        removeUsedFiles()
        return taken
    }

    private func read(_ entry: Entry) throws -> Delivery? {
        guard case .disk(let channel, let weight, let number, let offset, let length) = entry else {
            if case .memory(let delivery) = entry { return delivery }
            return nil
        }
        depth -= weight
        byteCount -= length
        guard let file = open[number], let codec = codecs[channel] else { return nil }
        let bytes = try file.read(length, at: offset)
        return Delivery(channel: channel, item: .batch(try codec.decode(bytes)))
    }

    private func removeUsedFiles() {
        let oldest = entries.lazy.compactMap(\.file).min() ?? current
        for number in open.keys where number < oldest {
            open.removeValue(forKey: number)?.close()
        }
    }

    /// Gives up everything.
    func removeAll() {
        entries.removeAll()
        for file in open.values { file.close() }
        open = [:]
        (byteCount, depth, end, current) = (0, 0, 0, current + 1)
    }
}

/// Turns the batches of a channel into bytes and back; the type is known to the batch that it was
/// made by.
@usableFromInline
package struct SpillCodec: Sendable {
    let encode: @Sendable (any AnyBatch) throws -> [UInt8]
    let decode: @Sendable ([UInt8]) throws -> any AnyBatch

    /// Nil when the events aren't Codable.
    init?<Element: Sendable>(_ type: Element.Type) {
        guard let codec = StateCodec<Batch<Element>>.make() else { return nil }
        let position = StateCodec<SourcePosition?>.make()
        let isContinued = StateCodec<Bool>.make()
        encode = { batch in
            var writer = BinaryWriter()
            try codec.write(unsafeDowncast(batch, to: BatchBox<Element>.self).batch, &writer)
            try position?.write(batch.position, &writer)
            try isContinued?.write(batch.isContinued, &writer)
            return writer.finish()
        }
        decode = { bytes in
            var reader = try BinaryReader(bytes)
            let batch = try codec.read(&reader) ?? Batch()
            let box = BatchBox(batch, position: try position?.read(&reader) ?? nil)
            box.isContinued = try isContinued?.read(&reader) ?? false
            return box
        }
    }
}
