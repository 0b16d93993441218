extension TCPConnection {
    /// Plain bytes that are encrypted before the kernel has taken the ones before.
    private static let portion = 64 * 1_024
    /// Two pieces up to this size together become one record.
    private static let joinedMax = 16 * 1_024

    /// Encrypts and writes two pieces; what the kernel does not take now waits as plain bytes.
    func encrypt(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, _ tls: TLSLayer
    ) -> WriteOutcome {
        if second.count > 0, first.count + second.count <= Self.joinedMax {
            return withUnsafeTemporaryAllocation(
                byteCount: first.count + second.count, alignment: 16
            ) { joined in
                joined.copyMemory(from: first)
                UnsafeMutableRawBufferPointer(rebasing: joined[first.count...])
                    .copyMemory(from: second)
                return encryptOne(UnsafeRawBufferPointer(joined), tls)
            }
        }
        _ = encryptOne(first, tls)
        return encryptOne(second, tls)
    }

    private func encryptOne(_ bytes: UnsafeRawBufferPointer, _ tls: TLSLayer) -> WriteOutcome {
        let count = tls.waiting.isEmpty ? encryptNow(bytes, tls) : 0
        guard phase == .open else { return .closed }
        if count < bytes.count {
            tls.waiting.append(UnsafeRawBufferPointer(rebasing: bytes[count...]))
        }
        return isQueueEmpty ? .sent : .queued
    }

    /// Encrypts shared bytes; large ones wait by reference, and are encrypted as they are sent.
    func encrypt(_ shared: SharedBytes, _ tls: TLSLayer) -> WriteOutcome {
        let bytes = UnsafeRawBufferPointer(start: shared.base, count: shared.count)
        let count = tls.waiting.isEmpty ? encryptNow(bytes, tls) : 0
        guard phase == .open else { return .closed }
        if count < bytes.count { tls.waiting.append(shared, from: count) }
        return isQueueEmpty ? .sent : .queued
    }

    /// Encrypts until the kernel takes no more; returns how many plain bytes are done.
    private func encryptNow(_ bytes: UnsafeRawBufferPointer, _ tls: TLSLayer) -> Int {
        var done = 0
        while done < bytes.count, queue.isEmpty, phase != .closed {
            let end = min(bytes.count, done + Self.portion)
            let failure = tls.engine.write(UnsafeRawBufferPointer(rebasing: bytes[done..<end]))
            flushCipher()
            if let failure {
                close(failure)
                return bytes.count
            }
            done = end
        }
        return done
    }

    /// Encrypts what waits, now that the kernel has taken what was encrypted before.
    func encryptWaiting(_ tls: TLSLayer) {
        while queue.isEmpty, !tls.waiting.isEmpty, phase != .closed {
            var next: WriteQueue.Entry?
            tls.waiting.prefix(1) { next = $0 }
            guard let next else { return }
            let bytes = UnsafeRawBufferPointer(start: next.base, count: next.count)
            let done = encryptNow(bytes, tls)
            guard phase != .closed else { return }
            tls.waiting.removeFirst(done)
        }
    }

    /// Gathers what the engine wants to send.
    func takeCipher(_ bytes: UnsafeRawBufferPointer) {
        let scratch = loop.scratch
        var rest = bytes
        while let base = rest.baseAddress, rest.count > 0 {
            if scratch.cipherCount == LoopScratch.cipherCapacity { flushCipher() }
            let count = min(rest.count, LoopScratch.cipherCapacity - scratch.cipherCount)
            (scratch.cipher + scratch.cipherCount).copyMemory(from: base, byteCount: count)
            scratch.cipherCount += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Hands encrypted bytes to the kernel; what it does not take waits in the queue.
    func flushCipher() {
        let scratch = loop.scratch
        let count = scratch.cipherCount
        guard count > 0 else { return }
        scratch.cipherCount = 0
        guard phase != .closed else { return }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        var sent = 0
        if queue.isEmpty {
            guard
                let result = tryWrite(
                    UnsafeRawBufferPointer(start: scratch.cipher, count: count), none)
            else { return }
            sent = result
        }
        guard sent < count else { return }
        queue.append(UnsafeRawBufferPointer(start: scratch.cipher + sent, count: count - sent))
        _ = writeQueued()
        // A peer that makes OpenSSL answer and reads no answers must not fill the memory.
        if queue.byteCount > max(writeLimit, TCPConnection.defaultWriteLimit) {
            close(NetworkError(.protocolViolation, "the peer does not read what TLS answers it"))
        }
    }

    /// Says at the last moment that this side ends, as far as the kernel takes it.
    ///
    /// Not when something is dropped or by a reset: the peer is to see that the end is missing.
    func sendLastClose(_ tls: TLSLayer) {
        let scratch = loop.scratch
        let dropsCork = isCorked && cork.pointee.count > 0
        guard !tls.isHandshaking, isQueueEmpty, !dropsCork, !socket.resetsOnClose else { return }
        tls.engine.sendClose()
        let bytes = UnsafeRawBufferPointer(start: scratch.cipher, count: scratch.cipherCount)
        scratch.cipherCount = 0
        _ = socket.send(bytes, UnsafeRawBufferPointer(start: nil, count: 0))
    }
}
