import Foundation

/// The programs that this package's build has made beside the tests.
package enum Products {
    package static func path(of product: String) -> String {
        let arguments = CommandLine.arguments
        var runner = arguments[0]
        if let index = arguments.firstIndex(of: "--test-bundle-path"), index + 1 < arguments.count {
            runner = arguments[index + 1]
        }
        var folder = URL(fileURLWithPath: runner).resolvingSymlinksInPath()
        // On macOS the runner lies inside a bundle.
        while folder.path.contains(".xctest") { folder.deleteLastPathComponent() }
        return folder.appendingPathComponent(product).path
    }
}
