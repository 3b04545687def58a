// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

// What a package's users do not ask for is not fetched: with `traits: []` the engine and its Swift face stay.
func nio(_ name: String) -> Target.Dependency {
    .product(name: name, package: "swift-nio", condition: .when(traits: ["NIO"]))
}

let logging = Target.Dependency.product(
    name: "Logging", package: "swift-log", condition: .when(traits: ["NIO"]))
let collections = Target.Dependency.product(
    name: "DequeModule", package: "swift-collections", condition: .when(traits: ["NIO"]))
let grdb = Target.Dependency.product(
    name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["Store"]))
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser", condition: .when(traits: ["Tool"]))
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: .when(traits: ["NIO"]))
let subprocess = Target.Dependency.product(
    name: "Subprocess", package: "swift-subprocess", condition: .when(traits: ["Tool"]))

let package = Package(
    name: "ouroboros",
    products: [
        .library(name: "Ouroboros", targets: ["Ouroboros"]),
        .library(name: "OuroborosNIO", targets: ["OuroborosNIO"]),
        .library(name: "OuroborosPOSIX", targets: ["OuroborosPOSIX"]),
        .library(name: "OuroborosStore", targets: ["OuroborosStore"]),
        .library(name: "OuroborosTesting", targets: ["OuroborosTesting"]),
        .executable(name: "ouroboros", targets: ["OuroborosCLI"]),
    ],
    traits: [
        .trait(name: "NIO", description: "OuroborosNIO: client and server on SwiftNIO"),
        .trait(name: "Store", description: "OuroborosStore: credentials in SQLite, on GRDB"),
        .trait(
            name: "Tool", description: "the command `ouroboros`", enabledTraits: ["NIO", "Store"]),
        .default(enabledTraits: ["NIO", "Store", "Tool"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        // ccore/include is a link to include, which SwiftPM wants inside the target's folder.
        .target(
            name: "COuroboros", path: "ccore", sources: ["src"], publicHeadersPath: "include",
            cSettings: [.treatAllWarnings(as: .error)],
            linkerSettings: [.linkedLibrary("mbedcrypto")]),
        .target(name: "Ouroboros", dependencies: ["COuroboros"], swiftSettings: strict),
        .target(
            name: "OuroborosNIO",
            dependencies: [
                "Ouroboros", nio("NIOCore"), nio("NIOPosix"), nio("NIOConcurrencyHelpers"), logging,
                collections,
                lifecycle,
            ],
            swiftSettings: strict),
        .target(name: "OuroborosPOSIX", dependencies: ["Ouroboros"], swiftSettings: strict),
        .target(
            name: "OuroborosTesting",
            dependencies: ["Ouroboros", "OuroborosNIO", nio("NIOCore"), nio("NIOEmbedded")],
            swiftSettings: strict),
        .target(name: "OuroborosStore", dependencies: ["Ouroboros", grdb], swiftSettings: strict),
        .executableTarget(
            name: "OuroborosCLI",
            dependencies: [
                "Ouroboros", "OuroborosNIO", "OuroborosPOSIX", "OuroborosStore", nio("NIOCore"),
                nio("NIOPosix"),
                logging, arguments, lifecycle, subprocess,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "RPiSensor", dependencies: ["Ouroboros", "OuroborosPOSIX"],
            path: "Sources/Examples/RPiSensor", swiftSettings: strict),
        .executableTarget(
            name: "NIOBench",
            dependencies: ["Ouroboros", "OuroborosNIO", nio("NIOCore"), nio("NIOPosix"), subprocess],
            path: "Tests/Benchmarks/NIOBench", swiftSettings: strict),
        // What C's own compiler says of the sizes that Swift's importer computes.
        .target(name: "CSizes", dependencies: ["COuroboros"], path: "Tests/CSizes"),
        .testTarget(
            name: "OuroborosTests", dependencies: ["Ouroboros", "COuroboros", "CSizes"],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosNIOTests",
            dependencies: [
                "Ouroboros", "OuroborosNIO", nio("NIOCore"), nio("NIOPosix"), logging, lifecycle,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosPOSIXTests",
            dependencies: ["Ouroboros", "OuroborosPOSIX", "OuroborosNIO", nio("NIOCore")],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosTestingTests",
            dependencies: ["Ouroboros", "OuroborosNIO", "OuroborosTesting", nio("NIOCore")],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosStoreTests", dependencies: ["Ouroboros", "OuroborosStore", grdb],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosCLITests",
            dependencies: ["Ouroboros", "OuroborosNIO", "OuroborosStore", "OuroborosCLI", subprocess],
            swiftSettings: strict),
    ]
)
