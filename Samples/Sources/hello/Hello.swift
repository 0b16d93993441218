import Weir

@main struct Hello {
    static func main() async throws {
        let hello = Topology("hello") {
            EventStream("names", from: .lines(.standardInput))
                .filter { !$0.isEmpty }
                .map { "Hello, \($0)!" }
                .sink(.print)
        }
        try await hello.run()
    }
}
