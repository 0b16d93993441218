internal import COpenSSL

/// OpenSSL's state for one key in one direction.
///
/// Safety of the conformance: the context is used by one thread at a time, under the lock of
/// the ``RecordEncryption`` that owns it.
final class CipherContext: @unchecked Sendable {  // Safety: see above
    static let tagSize = 16
    private static let nonceSize = 12

    private let context: OpaquePointer

    /// Nil when OpenSSL has no memory or no AES.
    init?(key: [UInt8], isSealing: Bool) {
        guard key.count == 32, let context = EVP_CIPHER_CTX_new() else { return nil }
        self.context = context
        guard
            EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, key, nil, isSealing ? 1 : 0) == 1
        else { return nil }
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    /// Writes the cipher text and the tag; false when OpenSSL fails.
    func seal(
        _ plain: UnsafeRawBufferPointer, into sealed: UnsafeMutableRawBufferPointer,
        nonce: UInt64, authenticating data: [UInt8]
    ) -> Bool {
        guard sealed.count == plain.count + Self.tagSize, begin(nonce, data, isSealing: true),
            update(plain, sealed.baseAddress)
        else { return false }
        var count: Int32 = 0
        var rest = [UInt8](repeating: 0, count: 16)
        return EVP_CipherFinal_ex(context, &rest, &count) == 1
            && EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_GCM_GET_TAG, Int32(Self.tagSize),
                sealed.baseAddress.map { $0 + plain.count }) == 1
    }

    /// Writes the plain text; false when the tag does not match.
    func open(
        _ sealed: UnsafeRawBufferPointer, into plain: UnsafeMutableRawBufferPointer,
        nonce: UInt64, authenticating data: [UInt8]
    ) -> Bool {
        guard sealed.count == plain.count + Self.tagSize, begin(nonce, data, isSealing: false)
        else { return false }
        var tag = Array(sealed.suffix(Self.tagSize))
        guard
            update(
                UnsafeRawBufferPointer(rebasing: sealed[..<plain.count]), plain.baseAddress),
            EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_GCM_SET_TAG, Int32(Self.tagSize), &tag) == 1
        else { return false }
        var count: Int32 = 0
        var rest = [UInt8](repeating: 0, count: 16)
        return EVP_CipherFinal_ex(context, &rest, &count) == 1
    }

    private func begin(_ nonce: UInt64, _ data: [UInt8], isSealing: Bool) -> Bool {
        var bytes = [UInt8](repeating: 0, count: Self.nonceSize)
        bytes.withUnsafeMutableBytes {
            $0.storeBytes(of: nonce.littleEndian, toByteOffset: 4, as: UInt64.self)
        }
        var count: Int32 = 0
        return EVP_CipherInit_ex(context, nil, nil, nil, bytes, isSealing ? 1 : 0) == 1
            && EVP_CipherUpdate(context, nil, &count, data, Int32(data.count)) == 1
    }

    private func update(
        _ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawPointer?
    ) -> Bool {
        guard input.count > 0 else { return true }
        guard let output, let length = Int32(exactly: input.count) else { return false }
        var count: Int32 = 0
        return EVP_CipherUpdate(
            context, output.assumingMemoryBound(to: UInt8.self), &count,
            input.baseAddress?.assumingMemoryBound(to: UInt8.self), length) == 1
            && count == length
    }
}
