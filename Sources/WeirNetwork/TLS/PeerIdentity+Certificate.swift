import COpenSSL

extension PeerIdentity {
    /// Names of each sort that are taken of one certificate.
    ///
    /// With the bytes of each this bounds what an ingest journal keeps of a peer below 60,000 bytes.
    private static let namesMax = 16
    /// Bytes that are taken of one name.
    private static let nameBytesMax = 255

    /// Reads a certificate.
    init(_ certificate: OpaquePointer) {
        let subjectName = X509_get_subject_name(certificate)
        subject = Self.text(of: subjectName)
        commonName = Self.commonName(of: subjectName)
        issuer = Self.text(of: X509_get_issuer_name(certificate))
        serialNumber = Self.serialNumber(of: certificate)
        fingerprint = Self.fingerprint(of: certificate)
        let collected = AlternativeNames()
        cossl_alternative_names(
            certificate, Unmanaged.passUnretained(collected).toOpaque()
        ) { context, type, bytes, count in
            guard let context, let bytes, count > 0 else { return }
            Unmanaged<AlternativeNames>.fromOpaque(context).takeUnretainedValue().add(
                type, UnsafeBufferPointer(start: bytes, count: Int(count)))
        }
        names = collected.names
        otherNames = collected.others
    }

    private final class AlternativeNames {
        var names: [String] = []
        var others: [String] = []

        func add(_ type: Int32, _ bytes: UnsafeBufferPointer<UInt8>) {
            guard bytes.count <= PeerIdentity.nameBytesMax else { return }
            if type == GEN_DNS {
                if names.count < PeerIdentity.namesMax {
                    names.append(String(decoding: bytes, as: UTF8.self))
                }
            } else if others.count < PeerIdentity.namesMax {
                others.append(
                    type == GEN_IPADD ? Self.address(bytes) : String(decoding: bytes, as: UTF8.self)
                )
            }
        }

        private static func address(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
            if bytes.count == 4 { return bytes.map { "\($0)" }.joined(separator: ".") }
            return stride(from: 0, to: bytes.count - 1, by: 2).map {
                String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16)
            }.joined(separator: ":")
        }
    }

    private static func text(of name: OpaquePointer?) -> String {
        guard let name, let output = BIO_new(BIO_s_mem()) else { return "" }
        defer { BIO_free(output) }
        cossl_print_name(output, name)
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 512) { buffer in
            let count = BIO_read(output, buffer.baseAddress, 512)
            return String(decoding: buffer.prefix(Int(max(0, count))), as: UTF8.self)
        }
    }

    private static func commonName(of name: OpaquePointer?) -> String? {
        guard let name else { return nil }
        var last: Int32 = -1
        while case let next = X509_NAME_get_index_by_NID(name, NID_commonName, last), next >= 0 {
            last = next
        }
        guard last >= 0, let entry = X509_NAME_get_entry(name, last),
            let value = X509_NAME_ENTRY_get_data(entry)
        else { return nil }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&bytes, value)
        guard count >= 0, let bytes else { return nil }
        defer { CRYPTO_free(bytes, nil, 0) }
        return String(
            decoding: UnsafeBufferPointer(start: bytes, count: min(Int(count), nameBytesMax)),
            as: UTF8.self)
    }

    private static func serialNumber(of certificate: OpaquePointer) -> String {
        guard let serial = X509_get0_serialNumber(certificate) else { return "" }
        let count = Int(ASN1_STRING_length(serial))
        guard let bytes = ASN1_STRING_get0_data(serial) else { return "" }
        return hexadecimal(UnsafeBufferPointer(start: bytes, count: min(count, 64)))
    }

    private static func fingerprint(of certificate: OpaquePointer) -> String {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(EVP_MAX_MD_SIZE)) { buffer in
            var count: UInt32 = 0
            guard X509_digest(certificate, EVP_sha256(), buffer.baseAddress, &count) == 1 else {
                return ""
            }
            return hexadecimal(UnsafeBufferPointer(rebasing: buffer.prefix(Int(count))))
        }
    }

    private static func hexadecimal(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
