import WeirCore

/// What the corked connection of a loop has written: one at a time gathers its writes.
///
/// In memory of its own, since each use of an object's property would have to retain the object.
struct Cork {
    /// Bytes gathered from several small writes before they go to the socket.
    static let capacity = 64 * 1_024

    let bytes: UnsafeMutableRawPointer
    var count = 0
    /// The connection; it lives as long as the call that has corked it.
    var connection: Unmanaged<TCPConnection>?
}

/// Buffers that all connections of a loop share, since only one of them is in use at a time.
///
/// So an idle connection owns no buffer at all. Used on the loop's thread only.
final class LoopScratch {
    /// Bytes read from a socket at once, and the most that a paused connection holds back.
    static let readCapacity = 64 * 1_024
    /// Encrypted bytes gathered before they go to the socket: what a full cork becomes.
    static let cipherCapacity = 68 * 1_024

    /// Where the socket that is being read puts its bytes.
    let read: UnsafeMutableRawPointer
    let cork: UnsafeMutablePointer<Cork>
    /// Where a TLS connection gathers encrypted bytes during one call of OpenSSL.
    private(set) lazy var cipher = UnsafeMutableRawPointer.allocate(
        byteCount: Self.cipherCapacity, alignment: 64)
    var cipherCount = 0
    /// The stages that this turn's reads have brought something.
    let wakeUps = ConsumerWakeUps()
    private var plain: UnsafeMutableRawBufferPointer?
    /// Compressors of WebSocket messages that stand alone, which connections share.
    var deflaters: [WebSocketCompression: Deflater] = [:]
    private var jobs: [Loop.Work] = []
    private var frames: UnsafeMutablePointer<UnsafeRawBufferPointer>?

    init() {
        read = .allocate(byteCount: Self.readCapacity, alignment: 64)
        cork = .allocate(capacity: 1)
        cork.initialize(to: Cork(bytes: .allocate(byteCount: Cork.capacity, alignment: 64)))
    }

    /// Takes the buffer for decrypted bytes; another one while it is in use.
    func takePlain() -> UnsafeMutableRawBufferPointer {
        if let plain {
            self.plain = nil
            return plain
        }
        return .allocate(byteCount: Self.readCapacity, alignment: 64)
    }

    func giveBack(plain buffer: UnsafeMutableRawBufferPointer) {
        if plain == nil { plain = buffer } else { buffer.deallocate() }
    }

    func takeJobs() -> [Loop.Work] {
        defer { jobs = [] }
        return jobs
    }

    func giveBack(jobs: [Loop.Work]) { self.jobs = jobs }

    /// Takes room for the frames of one read; other room while it is in use.
    func takeFrames() -> UnsafeMutablePointer<UnsafeRawBufferPointer> {
        if let frames {
            self.frames = nil
            return frames
        }
        return .allocate(capacity: FrameList.capacity)
    }

    func giveBack(frames room: UnsafeMutablePointer<UnsafeRawBufferPointer>) {
        if frames == nil { frames = room } else { room.deallocate() }
    }

    deinit {
        read.deallocate()
        cork.pointee.bytes.deallocate()
        cork.deallocate()
        cipher.deallocate()
        plain?.deallocate()
        frames?.deallocate()
    }
}
