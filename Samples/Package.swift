// swift-tools-version: 6.3
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let weir = Target.Dependency.product(name: "Weir", package: "weir")
let testing = Target.Dependency.product(name: "WeirTesting", package: "weir")
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle: [Target.Dependency] = [
    .product(name: "Logging", package: "swift-log"),
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    .product(name: "UnixSignals", package: "swift-service-lifecycle"),
]

let package = Package(
    name: "weir-samples",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "hello", targets: ["hello"]),
        .executable(name: "fraud-detection", targets: ["fraud-detection"]),
        .executable(name: "access-log", targets: ["access-log"]),
        .executable(name: "ledger", targets: ["ledger"]),
        .executable(name: "echo", targets: ["echo"]),
    ],
    dependencies: [
        .package(name: "weir", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .executableTarget(
            name: "hello", dependencies: [weir], exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "fraud-detection", dependencies: [weir, arguments] + lifecycle,
            exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "access-log", dependencies: [weir, arguments] + lifecycle,
            exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "ledger", dependencies: [weir, arguments] + lifecycle,
            exclude: ["README.md"], swiftSettings: settings),
        .executableTarget(
            name: "echo", dependencies: [weir, arguments] + lifecycle,
            exclude: ["README.md"], swiftSettings: settings),
        .testTarget(
            name: "FraudDetectionTests", dependencies: ["fraud-detection", weir, testing],
            swiftSettings: settings),
        .testTarget(
            name: "AccessLogTests", dependencies: ["access-log", weir, testing],
            swiftSettings: settings),
    ]
)
