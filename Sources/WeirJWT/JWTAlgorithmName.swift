#if JWT
    import JWTKit
    import WeirJSON
    import WeirNetwork

    /// A signature algorithm with a public key, by its name in RFC 7518 and RFC 8037.
    public struct JWTAlgorithmName: Sendable, Hashable, CustomStringConvertible {
        /// The name, such as `ES256`.
        public let description: String
        let keyType: JWK.KeyType
        let curve: String?
        let algorithm: JWK.Algorithm

        private init(
            _ name: String, _ keyType: JWK.KeyType, _ curve: String?, _ algorithm: JWK.Algorithm
        ) {
            description = name
            self.keyType = keyType
            self.curve = curve
            self.algorithm = algorithm
        }

        /// RSA with SHA-256.
        public static let rs256 = Self("RS256", .rsa, nil, .rs256)
        /// RSA with SHA-384.
        public static let rs384 = Self("RS384", .rsa, nil, .rs384)
        /// RSA with SHA-512.
        public static let rs512 = Self("RS512", .rsa, nil, .rs512)
        /// RSA-PSS with SHA-256.
        public static let ps256 = Self("PS256", .rsa, nil, .ps256)
        /// RSA-PSS with SHA-384.
        public static let ps384 = Self("PS384", .rsa, nil, .ps384)
        /// RSA-PSS with SHA-512.
        public static let ps512 = Self("PS512", .rsa, nil, .ps512)
        /// ECDSA with P-256 and SHA-256.
        public static let es256 = Self("ES256", .ecdsa, "P-256", .es256)
        /// ECDSA with P-384 and SHA-384.
        public static let es384 = Self("ES384", .ecdsa, "P-384", .es384)
        /// ECDSA with P-521 and SHA-512.
        public static let es512 = Self("ES512", .ecdsa, "P-521", .es512)
        /// Ed25519.
        public static let edDSA = Self("EdDSA", .octetKeyPair, "Ed25519", .eddsa)

        /// All of them.
        public static let all: Set<JWTAlgorithmName> = [
            .rs256, .rs384, .rs512, .ps256, .ps384, .ps512, .es256, .es384, .es512, .edDSA,
        ]

        /// Two are equal when they have the same name.
        public static func == (left: Self, right: Self) -> Bool {
            left.description == right.description
        }

        /// Feeds the name to a hasher.
        public func hash(into hasher: inout Hasher) { hasher.combine(description) }
    }

    /// What a token says of its own signature, before it is believed.
    struct JWTHeaderFields {
        let algorithm: JWTAlgorithmName
        let keyID: String?

        private struct Fields: Decodable {
            var alg: String
            var kid: String?
            var crit: [String]?
        }

        /// Reads a token's header.
        init(of token: String, allowed: Set<JWTAlgorithmName>) throws(Refusal) {
            guard let text = token.utf8.split(separator: 0x2E).first,
                let bytes = Base64URL.decode(text),
                let fields = bytes.withUnsafeBytes({
                    try? JSONEventDecoder().decode(Fields.self, from: $0)
                }),
                // An extension that has to be understood is not (RFC 7515, 4.1.11).
                fields.crit == nil,
                let algorithm = allowed.first(where: { $0.description == fields.alg })
            else { throw Refusal(.invalid) }
            self.algorithm = algorithm
            keyID = fields.kid
        }
    }

    /// The claims that count here.
    struct JWTClaims: JWTPayload {
        var iss: String?
        var sub: String?
        var exp: Double?
        var nbf: Double?
        var client_id: String?
        var azp: String?
        private var aud: Words?
        private var scope: Words?
        private var scp: Words?

        var audiences: [String] {
            switch aud {
            case .one(let word): [word]
            case .many(let words): words
            case nil: []
            }
        }

        /// The scopes of either spelling, each a text with spaces or an array.
        var scopes: [String] { [scope, scp].flatMap { $0?.separated ?? [] } }

        /// One word, or several.
        private enum Words: Codable {
            case one(String)
            case many([String])

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let word = try? container.decode(String.self) {
                    self = .one(word)
                } else {
                    self = .many(try container.decode([String].self))
                }
            }

            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                switch self {
                case .one(let word): try container.encode(word)
                case .many(let words): try container.encode(words)
                }
            }

            var separated: [String] {
                switch self {
                case .one(let text): text.split(separator: " ").map { String($0) }
                case .many(let words): words
                }
            }
        }

        /// Nothing: who asks for a token checks what it says.
        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }
#endif
