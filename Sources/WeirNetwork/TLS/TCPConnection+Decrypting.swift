extension TCPConnection {
    /// Takes encrypted bytes from the socket.
    func received(_ bytes: UnsafeMutableRawBufferPointer, _ tls: TLSLayer) {
        tls.engine.input = UnsafeRawBufferPointer(bytes)
        tls.hasMore = true
        isDelivering = true
        if tls.isHandshaking { continueHandshake(tls) }
        isDelivering = false
        if phase == .open, !tls.isHandshaking {
            decrypt(tls)
            tls.keepRest()
            if isReadingPaused { stopSocket() } else { goOn() }
        } else {
            tls.keepRest()
        }
    }

    /// Goes on with what a full handler has left.
    func decryptHeld(_ tls: TLSLayer) {
        guard phase == .open, !isReadingPaused, !tls.isHandshaking else { return }
        decrypt(tls)
        tls.keepRest()
    }

    /// Decrypts and delivers until the handler is full or there is no more.
    private func decrypt(_ tls: TLSLayer) {
        let scratch = loop.scratch
        let plain = scratch.takePlain()
        defer { scratch.giveBack(plain: plain) }
        while phase == .open, !isReadingPaused, tls.hasMore {
            let (count, end) = fill(plain, tls)
            flushCipher()
            guard phase == .open else { return }
            if count > 0 {
                deliver(UnsafeMutableRawBufferPointer(rebasing: plain[..<count]), isHeld: false)
                offerHeld()
            }
            guard let end else { continue }
            switch end {
            case .bytes: break
            case .needsInput: tls.hasMore = false
            case .ended:
                // A full handler takes the rest first; this comes again then.
                if phase == .open, !isReadingPaused, heldByteCount == tls.heldByteCount {
                    tls.hasMore = false
                    reportEnd()
                    return
                }
            case .failed(let error):
                guard phase == .open else { return }
                failure = error
                finishSending(within: .seconds(1))
            }
        }
    }

    /// Decrypts as many records as the buffer has room for.
    private func fill(
        _ plain: UnsafeMutableRawBufferPointer, _ tls: TLSLayer
    ) -> (count: Int, end: TLSEngine.ReadStep?) {
        var count = 0
        while count < plain.count {
            let step = tls.engine.read(
                into: UnsafeMutableRawBufferPointer(rebasing: plain[count...]))
            guard case .bytes(let more) = step else { return (count, step) }
            count += more
        }
        return (count, nil)
    }
}
