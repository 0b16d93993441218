import Foundation
import Testing
import WeirJSON

struct Event: Codable, Equatable {
    enum Kind: String, Codable { case sale, refund }
    enum Channel: Codable, Equatable {
        case web(url: URL, visits: Int)
        case desk(Int)
        case silent
    }
    struct Place: Codable, Equatable {
        var city: String?
        var x: Float
        var y: Double
    }

    var id: UInt32
    var card: String
    var amount: Double
    var kind: Kind?
    var channel: Channel?
    var places: [Place]?
    var counts: [Int: Int]?
    var at: Date?
    var raw: Data?
    var price: Decimal?
    var token: UUID?
    var nested: [[Bool?]]?
}

@Suite struct `A document decodes as JSONDecoder decodes it` {
    static let numbers = [
        "0", "-0", "1", "-1", "7", "255", "256", "-128", "-129", "127", "128", "32768", "65535",
        "65536", "-32769", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295",
        "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "-9223372036854775809", "18446744073709551615", "18446744073709551616",
        "99999999999999999999", "123456789012345678901234567890", "1.0", "-1.0", "1.5", "1e2",
        "1E2", "1e+2", "100e-2", "1e-2", "0.0", "-0.0", "0.1", "0.25", "2.55e2", "2.5e0",
        "9007199254740991.0", "9007199254740992.0", "9007199254740993.0", "1.0000000000000000001",
        "9223372036854775807.0", "1e18", "1e19", "123e16", "1e308", "1.7976931348623157e308",
        "1.7976931348623159e308", "1e309", "1e400", "-1e400", "5e-324", "3e-324", "2e-324",
        "2.2250738585072011e-308", "2.2250738585072014e-308", "1e-400", "-1e-400", "0e999",
        "0e99999999999999999999", "1e99999999999999999999", "1e-99999999999999999999",
        "0.1e1", "3.4028234e38", "3.4028236e38", "1e39", "1e-45", "1e-50", "16777217.0",
        "16777217.0000001", "16777216.9999999", "0.30000000000000004", "1.100000023841858",
        "8.41e-5", "12345678.9e-3", "9007199254740993", "0.000000000000000000000000000001",
        "179769313486231580793728971405301199e272", "4.35", "2.675", "1e23", "8.5e22", "1e22",
        "00", "01", "-01", "1.", ".1", "+1", "1e", "1e+", "-", "--1", "1.2.3", "1e1.5", "0x10",
        "NaN", "Infinity", "-Infinity", "1_000", "1 000", "1f", "- 1",
    ]
    static let strings = [
        #""""#, #""a""#, #""abc def""#, #""0123456789abcdef""#, #""é""#, #""日本語""#, #""😀""#,
        #""a\"b""#, #""a\\b""#, #""\/""#, #""\b\f\n\r\t""#, #""\u0041""#, #""\u00e9""#,
        #""\u00E9""#, #""\ud83d\ude00""#, #""\uD83D\uDE00x""#, #""\u0000""#, #""\u2028""#,
        #""\uffff""#, #""\ud800""#, #""\ude00""#, #""\ud83dx""#, #""\ud83d\u0041""#,
        #""\ud83d\ud83d""#, #""\ud83d\n""#, #""\u12""#, #""\u12g4""#, #""\U0041""#, #""\x41""#,
        #""\'""#, #""\""#, #"""#, #""abc"#, #""\u"#, #"'a'"#, "\"\u{7f}\"", "\"a\nb\"",
        "\"a\tb\"", "\"\u{1}\"", "\"\u{1f}\"", #""\u007f""#, #""日\u672c語""#, #""e\u0301""#,
        "\"01234567\u{8}\"", #""01234567\""#, #""0123456\"89""#, #""ééééééééé""#,
    ]
    static let structures = [
        "", " ", "{}", "[]", " [ ] ", "\n{\t}\r", "[1]", "[1,2]", "[ 1 , 2 ]", "[1 2]", "[,1]",
        "[1,,2]", "[", "]", "{", "}", "[1", "[1,", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,",
        "{\"a\" 1}", "{a:1}", "{1:1}", "{\"a\":1 \"b\":2}", "{\"a\":1}}", "[1]]", "[1}",
        "{\"a\":1]",
        "{\"a\":1}", "{\"a\":1,\"b\":[true,false,null]}", "{\"a\":1,\"a\":2}", "[[[[]]]]",
        "{\"\":{\"\":{}}}", "{\"a\":{\"b\":{\"c\":[1,{\"d\":2}]}}}", "true", "false", "null",
        "tru", "truex", "nul", "fals", "True", "nulll", "true false", "1 2", "[true,]x", "// c\n1",
        "1 // c", "/* */1", "[1]\n", "[1] x", "\u{c}1", "\u{a0}1", "{\"e\u{301}\":1,\"\u{e9}\":2}",
        "{\"\\u0061\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"K\":1,\"\u{212a}\":2}", ":", ",",
        "{,}", "{:}", "[:]", "{\"a\"}", "{\"a\":}", "{\"a\":,}", "[\"a\":1]", "\u{feff}[1]",
        "\u{feff}", "[\u{feff}1]", "[1\u{feff}]",
    ]

    @Test(arguments: numbers) func `a number into every numeric type`(_ text: String) {
        let bytes = Array(text.utf8)
        func agree<Value: Decodable & Equatable>(_ type: Value.Type) {
            #expect(ours(type, bytes) == reference(type, bytes), "\(type) from \(text)")
            let array = Array("[\(text)]".utf8)
            #expect(ours([Value].self, array) == reference([Value].self, array))
            let object = Array("{\"k\":\(text)}".utf8)
            #expect(ours([String: Value].self, object) == reference([String: Value].self, object))
        }
        agree(Int.self)
        agree(Int8.self)
        agree(Int16.self)
        agree(Int32.self)
        agree(Int64.self)
        agree(UInt.self)
        agree(UInt8.self)
        agree(UInt16.self)
        agree(UInt32.self)
        agree(UInt64.self)
        agree(Double.self)
        agree(Float.self)
        agree(Decimal.self)
        agree(Bool.self)
        agree(String.self)
        agree(Int?.self)
        agree(Tree.self)
    }

    @Test func `a double keeps its sign and its last bit`() throws {
        for text in Self.numbers {
            let mine = try? JSONEventDecoder().decode(Double.self, from: text)
            let theirs = try? JSONDecoder().decode(Double.self, from: Data(text.utf8))
            #expect(mine?.bitPattern == theirs?.bitPattern, "\(text)")
            let float = try? JSONEventDecoder().decode(Float.self, from: text)
            let reference = try? JSONDecoder().decode(Float.self, from: Data(text.utf8))
            #expect(float?.bitPattern == reference?.bitPattern, "\(text)")
        }
    }

    @Test(arguments: strings + structures) func `a string or a structure`(_ text: String) {
        for document in [text, "[\(text)]", "{\"k\":\(text)}", " \(text) ", "[1,\(text),2]"] {
            let bytes = Array(document.utf8)
            if isLenient(bytes) { continue }
            #expect(ours(Tree.self, bytes) == reference(Tree.self, bytes), "\(document)")
            #expect(ours(String.self, bytes) == reference(String.self, bytes), "\(document)")
            #expect(
                ours([String: Int].self, bytes) == reference([String: Int].self, bytes),
                "\(document)")
        }
    }

    @Test(arguments: [
        #"{"id":1,"card":"4929","amount":12.5}"#,
        #"{"amount":12.5,"card":"4929","id":1}"#,
        #"{"id":1,"card":"4929","amount":12.5,"kind":"sale","channel":{"desk":{"_0":3}}}"#,
        #"{"id":1,"card":"","amount":0,"channel":{"web":{"url":"http://a/b","visits":2}}}"#,
        #"{"id":1,"card":"","amount":0,"channel":{"silent":{}}}"#,
        #"{"id":1,"card":"","amount":0,"channel":{"silent":{},"desk":{"_0":3}}}"#,
        #"{"id":1,"card":"","amount":0,"channel":{}}"#,
        #"{"id":1,"card":"","amount":0,"channel":null,"kind":null,"places":null}"#,
        #"{"id":1,"card":"","amount":0,"kind":"gift"}"#,
        #"{"id":1,"card":"","amount":0,"places":[{"x":1,"y":2},{"y":2.5,"x":1.1,"city":"Ede"}]}"#,
        #"{"id":1,"card":"","amount":0,"places":[{"x":1}]}"#,
        #"{"id":1,"card":"","amount":0,"places":{}}"#,
        #"{"id":1,"card":"","amount":0,"counts":{"1":2,"-3":4}}"#,
        #"{"id":1,"card":"","amount":0,"counts":{"x":2}}"#,
        #"{"id":1,"card":"","amount":0,"at":123.5,"raw":"AQI=","price":1.10}"#,
        #"{"id":1,"card":"","amount":0,"at":"2026-01-01T00:00:00Z"}"#,
        #"{"id":1,"card":"","amount":0,"raw":"AQI"}"#,
        #"{"id":1,"card":"","amount":0,"raw":[1,2]}"#,
        #"{"id":1,"card":"","amount":0,"price":"1.1"}"#,
        #"{"id":1,"card":"","amount":0,"token":"E621E1F8-C36C-495A-93FC-0C247A3E6E5F"}"#,
        #"{"id":1,"card":"","amount":0,"token":"E621"}"#,
        #"{"id":1,"card":"","amount":0,"nested":[[true,null],[],[false]]}"#,
        #"{"id":1,"card":"","amount":0,"nested":[[true,1]]}"#,
        #"{"id":-1,"card":"","amount":0}"#, #"{"id":1.0,"card":"","amount":1e2}"#,
        #"{"id":1,"card":null,"amount":0}"#, #"{"id":1,"amount":0}"#, #"{}"#, "[]", "null", "1",
        #"{"id":1,"id":2,"card":"a","card":"b","amount":1,"amount":2}"#,
        #"{"id":1,"card":"a","amount":1,"id":2,"card":"b","amount":2}"#,
        #"{"amount":1,"id":1,"amount":2,"card":"a"}"#,
        #"{"\u0069d":1,"card":"a","amount":1}"#,
    ]) func `an event with members of many types`(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(ours(Event.self, bytes) == reference(Event.self, bytes), "\(text)")
        #expect(ours(Event?.self, bytes) == reference(Event?.self, bytes), "\(text)")
    }

    /// Where JSONDecoder deviates from RFC 8259 and this decoder does not.
    @Test(arguments: [
        // A comma before the closing bracket is accepted.
        ("[1,]", true), ("{\"a\":1,}", true), ("[[],]", true),
        // What no property reads is not checked.
        ("{\"a\":1,\"b\":01}", false), ("{\"a\":1,\"b\":1.2.3}", false),
        ("{\"a\":1,\"b\":\"\\x\"}", false), ("{\"a\":1,\"b\":\"\\ud800\"}", false),
        ("{\"a\":1,\"b\":\"\u{1}\"}", false), ("{\"a\":1,\"b\":-}", false),
        // A zero byte after a number is taken for the end.
        ("1\0", true),
    ]) func `what JSONDecoder lets pass is refused`(_ text: String, _ isRead: Bool) {
        struct Reader: Decodable, Equatable { var a: Int }
        let bytes = Array(text.utf8)
        #expect(ours(Tree.self, bytes) == .refused)
        #expect(ours(Reader.self, bytes) == .refused)
        #expect(
            isRead
                ? reference(Tree.self, bytes) != .refused
                : reference(Reader.self, bytes) != .refused)
    }

    /// JSONDecoder refuses some zeros with an exponent, though RFC 8259 has them.
    @Test func `a zero with an exponent is a number`() {
        #expect(reference(Double.self, Array("0e5".utf8)) == .refused)
        for text in ["0e5", "0E+5", "0e-5", "0.0e5", "0e999"] {
            #expect(ours(Double.self, Array(text.utf8)) == .value(0))
            #expect(ours(Int.self, Array(text.utf8)) == .value(0))
        }
    }

    @Test func `bytes that are not UTF-8 are refused`() {
        let bad: [[UInt8]] = [
            [0xFF], [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x80, 0x80], [0xE2, 0x82],
            [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF5, 0x80, 0x80],
            [0xF4, 0x90, 0x80, 0x80], [0xF0, 0x9F, 0x98], [0xC3, 0xC3], [0xFE, 0xFF],
        ]
        let good: [[UInt8]] = [
            [0xC2, 0x80], [0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF],
            [0xF0, 0x90, 0x80, 0x80], [0xE0, 0xA0, 0x80], [0xEF, 0xBF, 0xBF],
        ]
        for (sequences, isValid) in [(bad, false), (good, true)] {
            for sequence in sequences {
                for prefix in ["", "1234567", "12345678", "é", "\\n"] {
                    let bytes = Array("\"\(prefix)".utf8) + sequence + Array("x\"".utf8)
                    #expect((ours(String.self, bytes) != .refused) == isValid, "\(bytes)")
                    #expect(ours(String.self, bytes) == reference(String.self, bytes))
                }
            }
        }
    }
}

/// Whether a document has a comma before a closing bracket, or a zero, which JSONDecoder accepts.
func isLenient(_ bytes: [UInt8]) -> Bool {
    let dense = bytes.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    return dense.contains(0)
        || zip(dense, dense.dropFirst()).contains {
            $0 == UInt8(ascii: ",") && ($1 == UInt8(ascii: "]") || $1 == UInt8(ascii: "}"))
        }
}
