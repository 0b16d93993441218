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

let package = Package(
    name: "weir",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Weir", targets: ["Weir"]),
        .library(name: "WeirSupervisor", targets: ["WeirSupervisor"]),
        .library(name: "WeirTesting", targets: ["WeirTesting"]),
        .library(name: "WeirRocksDB", targets: ["WeirRocksDB"]),
        .library(name: "WeirMQTT", targets: ["WeirMQTT"]),
        .library(name: "WeirJWT", targets: ["WeirJWT"]),
        .executable(name: "weir", targets: ["WeirTool"]),
    ],
    traits: [
        .trait(name: "RocksDB", description: "State larger than memory, in RocksDB."),
        .trait(name: "JWT", description: "Bearer tokens that are signed (JWT), by jwt-kit."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-http-structured-headers", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        .systemLibrary(name: "CLibUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CRocksDB", pkgConfig: "rocksdb", providers: [.apt(["librocksdb-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CWeirIntrinsics"),
        .target(name: "CWeirProcess"),
        .target(name: "WeirJSON", swiftSettings: settings),
        .target(name: "WeirBinary", swiftSettings: settings),
        .target(
            name: "WeirJournal", dependencies: ["CWeirIntrinsics"], swiftSettings: settings),
        .target(
            name: "WeirEncryption", dependencies: ["COpenSSL", "WeirJournal"],
            swiftSettings: settings),
        .target(
            name: "WeirSupervisor",
            dependencies: [
                "CWeirProcess", .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
            ],
            swiftSettings: settings),
        .target(
            name: "WeirCore",
            dependencies: [
                "CWeirIntrinsics", "WeirBinary", "WeirJournal", "WeirJSON",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
        .target(
            name: "WeirRocksDB",
            dependencies: [
                .target(name: "CRocksDB", condition: .when(traits: ["RocksDB"])),
                "WeirCore", "WeirJournal",
            ],
            swiftSettings: settings),
        .target(
            name: "WeirNetwork",
            dependencies: [
                "CLibUV", "COpenSSL", "CZlib", "WeirCore", "WeirJSON",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(
                    name: "RawStructuredFieldValues", package: "swift-http-structured-headers"),
            ],
            swiftSettings: settings),
        .target(
            name: "WeirMQTT",
            dependencies: [
                "WeirCore", "WeirNetwork", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .target(
            name: "WeirJWT",
            dependencies: [
                .product(name: "JWTKit", package: "jwt-kit", condition: .when(traits: ["JWT"])),
                "WeirJSON", "WeirNetwork",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .target(
            name: "Weir",
            dependencies: ["WeirCore", "WeirEncryption", "WeirNetwork", "WeirJSON"],
            swiftSettings: settings),
        .target(
            name: "WeirTesting",
            dependencies: [
                "WeirBinary", "WeirCore", "WeirJournal",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "WeirTool",
            dependencies: [
                "CZlib", "Weir", "WeirBinary", "WeirCore", "WeirJSON", "WeirNetwork",
                "WeirSupervisor",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .target(
            name: "WeirTestSupport", dependencies: ["CWeirProcess", "WeirCore"],
            path: "Tests/WeirTestSupport", swiftSettings: settings),
        .testTarget(
            name: "WeirJSONTests", dependencies: ["WeirJSON"], swiftSettings: settings),
        .testTarget(
            name: "WeirBinaryTests", dependencies: ["WeirBinary"], swiftSettings: settings),
        .testTarget(
            name: "WeirJournalTests", dependencies: ["WeirJournal"], swiftSettings: settings),
        .testTarget(
            name: "WeirEncryptionTests", dependencies: ["WeirEncryption", "WeirJournal"],
            swiftSettings: settings),
        .testTarget(
            name: "WeirSupervisorTests",
            dependencies: [
                "WeirNetwork", "WeirSupervisor", "WeirTestSupport", "WeirTool", "WeirWorkerFixture",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "WeirWorkerFixture",
            dependencies: ["WeirNetwork", "WeirSupervisor"], path: "Tests/WeirWorkerFixture",
            swiftSettings: settings),
        .testTarget(
            name: "WeirCoreTests",
            dependencies: [
                "WeirCore", "WeirJournal", "WeirRocksDB", "WeirTesting",
                .product(name: "Metrics", package: "swift-metrics"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "WeirTestingTests", dependencies: ["WeirCore", "WeirJournal", "WeirTesting"],
            swiftSettings: settings),
        .testTarget(
            name: "WeirNetworkTests",
            dependencies: [
                "CLibUV", "Weir", "WeirNetwork", "WeirTestSupport", "WeirTesting",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "WeirMQTTTests",
            dependencies: [
                "Weir", "WeirMQTT", "WeirTestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "WeirJWTTests",
            dependencies: [
                .product(name: "JWTKit", package: "jwt-kit", condition: .when(traits: ["JWT"])),
                "WeirJWT", "WeirNetwork", "WeirTestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "WeirTLSFixture",
            dependencies: ["WeirNetwork", .product(name: "Logging", package: "swift-log")],
            path: "Tests/WeirTLSFixture",
            swiftSettings: settings),
        .executableTarget(
            name: "WeirHTTPFixture", dependencies: ["WeirCore", "WeirNetwork"],
            path: "Tests/WeirHTTPFixture", swiftSettings: settings),
        .testTarget(
            name: "WeirToolTests",
            dependencies: [
                "CZlib", "Weir", "WeirNetwork", "WeirStoreFixture", "WeirTestSupport", "WeirTool",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "WeirStoreFixture",
            dependencies: [
                "Weir", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ], path: "Tests/WeirStoreFixture",
            swiftSettings: settings),
    ]
)
