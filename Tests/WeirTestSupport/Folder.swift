import Foundation

/// A folder that goes with the value.
package final class Folder: Sendable {
    package let path: String

    package init() throws {
        path =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("weir-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of what has a name in it.
    package func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }
}
