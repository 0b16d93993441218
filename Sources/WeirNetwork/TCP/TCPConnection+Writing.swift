import CLibUV

extension TCPConnection {
    /// Bytes that wait for the kernel, or with TLS to be encrypted.
    public var queuedByteCount: Int { queue.byteCount + (tls?.waiting.byteCount ?? 0) }

    var isQueueEmpty: Bool { queue.isEmpty && tls?.waiting.isEmpty ?? true }

    /// Writes bytes, which are copied only as far as the kernel does not take them now.
    ///
    /// When nothing waits yet, a write is taken whatever its size; else only within
    /// ``writeLimit``.
    @discardableResult
    public func write(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome {
        write(bytes, UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// Writes a text as UTF-8.
    @discardableResult
    public func write(_ text: String) -> WriteOutcome {
        var text = text
        return text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
    }

    /// Writes two pieces as one: a header and its payload.
    @discardableResult
    public func write(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> WriteOutcome {
        write(first, second, isForced: false)
    }

    /// Writes; `isForced` ignores the limit, for the one last message of a protocol.
    func write(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, isForced: Bool
    ) -> WriteOutcome {
        loop.preconditionOnLoop()
        guard phase == .open else { return .closed }
        let count = first.count + second.count
        if gather(first, second, count) { return .sent }
        guard phase == .open else { return .closed }
        if let refusal = admit(count, isForced) { return refusal }
        if let tls { return encrypt(first, second, tls) }
        var sent = 0
        if queue.isEmpty, let result = tryWrite(first, second) { sent = result }
        guard phase == .open else { return .closed }
        if sent == count { return .sent }
        if sent < first.count { queue.append(UnsafeRawBufferPointer(rebasing: first[sent...])) }
        let skipped = max(0, sent - first.count)
        queue.append(UnsafeRawBufferPointer(rebasing: second[skipped...]))
        return writeQueued()
    }

    /// Writes shared bytes; large ones wait by reference instead of being copied.
    @discardableResult
    public func write(_ shared: SharedBytes) -> WriteOutcome {
        loop.preconditionOnLoop()
        guard phase == .open else { return .closed }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let bytes = UnsafeRawBufferPointer(start: shared.base, count: shared.count)
        if gather(bytes, none, shared.count) { return .sent }
        guard phase == .open else { return .closed }
        if let refusal = admit(shared.count, false) { return refusal }
        if let tls { return encrypt(shared, tls) }
        var sent = 0
        if queue.isEmpty, let result = tryWrite(bytes, none) { sent = result }
        guard phase == .open else { return .closed }
        if sent == shared.count { return .sent }
        queue.append(shared, from: sent)
        return writeQueued()
    }

    /// Queues shared bytes whatever the limit says, for an answer that was begun.
    func writeAnyway(_ shared: SharedBytes) {
        guard phase == .open else { return }
        if let tls {
            _ = encrypt(shared, tls)
            return
        }
        var sent = 0
        if queue.isEmpty {
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            let bytes = UnsafeRawBufferPointer(start: shared.base, count: shared.count)
            guard let result = tryWrite(bytes, none) else { return }
            sent = result
        }
        guard sent < shared.count else { return }
        queue.append(shared, from: sent)
        _ = writeQueued()
    }

    /// Gathers all writes of `body` and hands them to the kernel together.
    ///
    /// Everything written while a handler gets bytes is gathered anyway.
    public func corked<Result>(_ body: () throws -> Result) rethrows -> Result {
        if isCorked { return try body() }
        let previous = cork.pointee.connection
        previous?._withUnsafeGuaranteedRef { $0.flushCork() }
        cork.pointee.connection = Unmanaged.passUnretained(self)
        defer {
            flushCork()
            cork.pointee.connection = previous
        }
        return try body()
    }

    /// Whether what is written now is gathered.
    var isCorked: Bool {
        cork.pointee.connection?.toOpaque() == Unmanaged.passUnretained(self).toOpaque()
    }

    /// Puts bytes into the loop's cork buffer when this connection is the corked one.
    private func gather(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, _ count: Int
    ) -> Bool {
        guard isCorked, isQueueEmpty else { return false }
        if count > Cork.capacity - cork.pointee.count {
            flushCork()
            if !isQueueEmpty || count > Cork.capacity / 2 || phase != .open {
                return false
            }
        }
        var target = cork.pointee.bytes + cork.pointee.count
        if let base = first.baseAddress {
            target.copyMemory(from: base, byteCount: first.count)
            target += first.count
        }
        if let base = second.baseAddress {
            target.copyMemory(from: base, byteCount: second.count)
        }
        cork.pointee.count += count
        return true
    }

    func flushCork() {
        guard isCorked, cork.pointee.count > 0 else { return }
        let bytes = UnsafeRawBufferPointer(start: cork.pointee.bytes, count: cork.pointee.count)
        cork.pointee.count = 0
        guard phase == .open else { return }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        if let tls {
            _ = encrypt(bytes, none, tls)
            return
        }
        var sent = 0
        if queue.isEmpty, let result = tryWrite(bytes, none) { sent = result }
        guard phase == .open, sent < bytes.count else { return }
        queue.append(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
        _ = writeQueued()
    }

    private func admit(_ count: Int, _ isForced: Bool) -> WriteOutcome? {
        let waiting = queuedByteCount
        if isForced || waiting == 0 || waiting + count <= writeLimit { return nil }
        mustReportDrained = true
        return .refused
    }

    /// Hands bytes to the kernel now; `nil` after a failure, which closes the connection.
    func tryWrite(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> Int? {
        let result = socket.send(first, second)
        return isTaken(result) ? result : nil
    }

    /// Counts what the kernel has taken; false after a failure, which closes the connection.
    private func isTaken(_ result: Int) -> Bool {
        if result < 0 {
            close(NetworkError(uv: Int32(result), "writing to a connection"))
            return false
        }
        countSent(result)
        return true
    }

    /// Lets the queue go out as the kernel takes it.
    func writeQueued() -> WriteOutcome {
        if !isWriting {
            isWriting = true
            mustReportDrained = true
            let status = socket.startWriting()
            if status < 0 { close(NetworkError(uv: status, "writing to a connection")) }
        }
        return phase == .open ? .queued : .closed
    }

    /// Runs when the kernel takes bytes again.
    func sendQueued() {
        for _ in 0..<SocketHandle.callsPerTurn where !queue.isEmpty {
            let result = socket.send(queue)
            guard isTaken(result) else { return }
            if result == 0 { return }
            queue.removeFirst(result)
            if queue.isEmpty, let tls { encryptWaiting(tls) }
            guard phase != .closed else { return }
        }
        guard queue.isEmpty else { return }
        isWriting = false
        socket.stopWriting()
        guard phase != .closed else { return }
        if phase == .flushing {
            endSending()
        } else if mustReportDrained {
            mustReportDrained = false
            corked { handler?.connectionDrained(self) }
        }
    }
}
