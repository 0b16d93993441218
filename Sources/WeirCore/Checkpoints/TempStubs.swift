package struct BinaryWriter {
    package init() {}
    package mutating func append<T: Encodable>(_ value: T) throws {}
    package mutating func finish() -> [UInt8] { [] }
}
package struct BinaryReader {
    package init(_ bytes: [UInt8]) throws {}
    package mutating func next<T: Decodable>(_ type: T.Type) throws -> T? { nil }
}
package func crc32c(_ b: UnsafeRawBufferPointer) -> UInt32 { 0 }
