import Foundation
package import Weir

extension NexmarkQueries {
    /// q10: bids with their day and minute, to be written into files of a minute each.
    package static func q10(_ events: EventStream<NexmarkEvent>) -> EventStream<DatedBid> {
        events.timed().bids.map {
            DatedBid(
                auction: $0.auction, bidder: $0.bidder, price: $0.price, dateTime: $0.dateTime,
                extra: $0.extra)
        }
    }
}

package struct DatedBid: ResultRow {
    package static let header = "auction,bidder,price,dateTime,extra,dt,hm"
    let auction, bidder, price, dateTime: Int
    let extra: Text

    var day: Int { dateTime / 86_400_000 }
    var minute: Int { dateTime / 60_000 % 1_440 }

    package func write(to line: inout RowWriter) {
        line.add(auction)
        line.add(bidder)
        line.add(price)
        line.add(time: dateTime)
        line.add(extra)
        line.add(day: day)
        line.add(minute: minute)
    }
}

extension Sink<DatedBid> {
    /// Files of a minute each, `2026-01-01/00-00/bids.csv`, exactly once together with a store.
    ///
    /// A checkpoint notes how long each file is; a run that begins with it cuts the files to that.
    /// `_SUCCESS` stands beside a file from the checkpoint on at which its minute was over.
    package static func minuteFiles(in directory: String) -> Sink {
        Sink("minuteFiles", endpoint: directory) { context in
            try MinuteFiles(directory, restoring: context.restoredState)
        }
    }
}

/// The open files, and how long all of them are.
final class MinuteFiles: TransactionalSinkWriter {
    private struct State: Codable {
        /// The length of each file, by its path within the directory.
        var lengths: [String: UInt64] = [:]
        var newest = 0
    }

    private let directory: String
    private var state = State()
    private var file: (minute: Int, path: String, handle: FileHandle)?
    private var buffer = RowWriter()
    private var prepared: [Int: State] = [:]

    init(_ directory: String, restoring bytes: [UInt8]?) throws {
        self.directory = directory
        guard let bytes else { return }
        state = try JSONDecoder().decode(State.self, from: Data(bytes))
        for (path, length) in state.lengths {
            let handle = try FileHandle(
                forWritingTo: URL(fileURLWithPath: "\(directory)/\(path)/bids.csv"))
            try handle.truncate(atOffset: length)
            try handle.close()
        }
    }

    func write(_ batch: Batch<DatedBid>) async throws {
        for bid in batch.elements {
            let minute = bid.dateTime / 60_000
            if file?.minute != minute { try open(minute, bid) }
            bid.write(to: &buffer)
            buffer.endLine()
        }
        if buffer.bytes.count > 1 << 16 { try flushBuffer() }
    }

    private func open(_ minute: Int, _ bid: DatedBid) throws {
        try flushBuffer()
        try file?.handle.close()
        var name: [UInt8] = []
        TimeText.appendDay(bid.day, to: &name)
        name.append(UInt8(ascii: "/"))
        TimeText.appendMinute(bid.minute, to: &name)
        let path = String(decoding: name, as: UTF8.self).replacingOccurrences(of: ":", with: "-")
        let folder = "\(directory)/\(path)"
        if state.lengths[path] == nil {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            try create("\(folder)/bids.csv")
            state.lengths[path] = 0
        }
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(folder)/bids.csv"))
        try handle.seekToEnd()
        file = (minute, path, handle)
        state.newest = max(state.newest, minute)
    }

    private func create(_ path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil) else {
            throw EventFileError("\(path) can't be written")
        }
    }

    private func flushBuffer() throws {
        guard let file, !buffer.bytes.isEmpty else { return }
        try file.handle.write(contentsOf: Data(buffer.bytes))
        state.lengths[file.path, default: 0] += UInt64(buffer.bytes.count)
        buffer.removeAll()
    }

    func prepare(checkpoint: Int) async throws -> [UInt8] {
        try flushBuffer()
        try file?.handle.synchronize()
        prepared[checkpoint] = state
        return [UInt8](try JSONEncoder().encode(state))
    }

    func commit(checkpoint: Int) async throws {
        guard let state = prepared.removeValue(forKey: checkpoint) else { return }
        let isLast = checkpoint == .max
        for path in state.lengths.keys where isLast || path != file?.path {
            try create("\(directory)/\(path)/_SUCCESS")
        }
    }

    func close() async throws {
        try flushBuffer()
        try file?.handle.close()
        file = nil
    }
}
