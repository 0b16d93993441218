import Testing

@testable import WeirNetwork

@Suite struct `A splitter of JSON arrays` {
    private func split(_ text: String) -> [String] {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBytes { bytes in
            var splitter = JSONArraySplitter(bytes)
            var found: [String] = []
            do {
                while let range = try splitter.next() {
                    found.append(String(decoding: bytes[range], as: UTF8.self))
                }
                return found
            } catch {
                return found + ["!"]
            }
        }
    }

    @Test(
        arguments: [
            ("[]", []), (" [ ] ", []), ("[1]", ["1"]), ("[1,2 , 3]\n", ["1", "2 ", "3"]),
            (#"["a,]","\"]",{"a":[1,{}]}]"#, [#""a,]""#, #""\"]""#, #"{"a":[1,{}]}"#]),
            ("[[1],[2,3]]", ["[1]", "[2,3]"]),
            ("", ["!"]), ("1", ["!"]), ("[", ["!"]), ("[1", ["!"]), ("[1,]", ["1", "!"]),
            ("[,1]", ["!"]), ("[1]x", ["1", "!"]), (#"["a]"#, ["!"]), (#"["a\"#, ["!"]),
            ("[{1]", ["!"]),
        ] as [(String, [String])])
    func `finds the elements`(_ text: String, _ expected: [String]) {
        #expect(split(text) == expected)
    }
}
