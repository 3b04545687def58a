// swift-tools-version: 6.3
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// What a package's users do not ask for is not fetched: with `traits: []` the engine and its Swift face stay.
func nio(_ name: String) -> Target.Dependency {
    .product(name: name, package: "swift-nio", condition: .when(traits: ["NIO"]))
}

let logging = Target.Dependency.product(
    name: "Logging", package: "swift-log", condition: .when(traits: ["NIO"]))
let inMemoryLogging = Target.Dependency.product(
    name: "InMemoryLogging", package: "swift-log", condition: .when(traits: ["NIO"]))
let collections = Target.Dependency.product(
    name: "DequeModule", package: "swift-collections", condition: .when(traits: ["NIO"]))
let metrics = Target.Dependency.product(
    name: "CoreMetrics", package: "swift-metrics", condition: .when(traits: ["NIO"]))
let crypto = Target.Dependency.target(name: "CCrypto", condition: .when(traits: ["Store"]))
let grdb = Target.Dependency.product(
    name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["Store"]))
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser", condition: .when(traits: ["Tool"]))
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: .when(traits: ["NIO"]))
let histogram = Target.Dependency.product(
    name: "Histogram", package: "hdrhistogram-swift", condition: .when(traits: ["Tool"]))
let subprocess = Target.Dependency.product(
    name: "Subprocess", package: "swift-subprocess", condition: .when(traits: ["Tool"]))
let hummingbird = Target.Dependency.product(
    name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["Gateway"]))
let hummingbirdCore = Target.Dependency.product(
    name: "HummingbirdCore", package: "hummingbird", condition: .when(traits: ["Gateway"]))
let httpTypes = Target.Dependency.product(
    name: "HTTPTypes", package: "swift-http-types", condition: .when(traits: ["Gateway"]))
let system = Target.Dependency.product(
    name: "SystemPackage", package: "swift-system", condition: .when(traits: ["Gateway"]))
let qrencode = Target.Dependency.target(name: "CQrencode", condition: .when(traits: ["Tool"]))
let csv = Target.Dependency.target(name: "CCSV", condition: .when(traits: ["Tool"]))
let curl = Target.Dependency.target(name: "CCurl", condition: .when(traits: ["Gateway"]))
let mustache = Target.Dependency.product(
    name: "Mustache", package: "swift-mustache", condition: .when(traits: ["Gateway"]))
let settings = Target.Dependency.product(
    name: "Configuration", package: "swift-configuration", condition: .when(traits: ["Gateway"]))

/// Compiled before what needs the trait: where it is missing, this alone is what the user reads.
func traitCheck(_ trait: String) -> Target {
    .target(name: "Trait\(trait)", path: "Sources/Traits/\(trait)", swiftSettings: strict)
}

/// A program that shows how the library is used; ExampleTests.swift runs it.
func example(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Sources/Examples/\(name)", swiftSettings: strict)
}

let package = Package(
    name: "ouroboros",
    products: [
        .library(name: "Ouroboros", targets: ["Ouroboros"]),
        .library(name: "OuroborosNIO", targets: ["OuroborosNIO"]),
        .library(name: "OuroborosPOSIX", targets: ["OuroborosPOSIX"]),
        .library(name: "OuroborosStore", targets: ["OuroborosStore"]),
        .library(name: "OuroborosPostgres", targets: ["OuroborosPostgres"]),
        .library(name: "OuroborosAnalysis", targets: ["OuroborosAnalysis"]),
        .library(name: "OuroborosMetrics", targets: ["OuroborosMetrics"]),
        .library(name: "OuroborosTesting", targets: ["OuroborosTesting"]),
        .executable(name: "ouroboros", targets: ["OuroborosCLI"]),
        .executable(name: "ouroboros-lean", targets: ["OuroborosLean"]),
    ],
    traits: [
        .trait(name: "NIO", description: "OuroborosNIO: client and server on SwiftNIO"),
        .trait(name: "Store", description: "OuroborosStore: credentials in SQLite, on GRDB"),
        .trait(
            name: "Postgres", description: "OuroborosPostgres: devices that several gateways share, on libpq",
            enabledTraits: ["NIO", "Store"]),
        .trait(
            name: "Gateway",
            description: "the gateway's configuration file, metrics and page over HTTP, sinks and downlink",
            enabledTraits: ["NIO", "Store"]),
        .trait(
            name: "Tool", description: "the command `ouroboros`", enabledTraits: ["Gateway", "NIO", "Store"]),
        .default(enabledTraits: ["Gateway", "NIO", "Postgres", "Store", "Tool"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(
            url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["JSON", "YAML"]),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", .upToNextMinor(from: "0.2.0")),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(
            url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
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
        .target(name: "LibC", swiftSettings: strict),
        traitCheck("NIO"), traitCheck("Store"), traitCheck("Postgres"), traitCheck("Gateway"),
        traitCheck("Tool"),
        .target(name: "OuroborosText", dependencies: ["LibC", "Ouroboros"], swiftSettings: strict),
        .target(name: "CBuild", cSettings: [.treatAllWarnings(as: .error)]),
        .target(name: "OuroborosBuild", dependencies: ["CBuild", "COuroboros"], swiftSettings: strict),
        .target(
            name: "OuroborosNIO",
            dependencies: [
                "LibC", "Ouroboros", nio("NIOCore"), nio("NIOPosix"), logging,
                collections, metrics, lifecycle, "TraitNIO",
            ],
            swiftSettings: strict),
        .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
        .target(
            name: "CSeal", dependencies: ["COuroboros"],
            cSettings: [.headerSearchPath("../../ccore/src"), .treatAllWarnings(as: .error)]),
        .target(
            name: "OuroborosAnalysis",
            dependencies: ["Ouroboros", "OuroborosText", "COuroboros", "CPcap", "CSeal", "LibC"],
            swiftSettings: strict),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "OuroborosStore",
            dependencies: ["LibC", "Ouroboros", "OuroborosText", grdb, crypto, "TraitStore"],
            swiftSettings: strict),
        .systemLibrary(name: "CPq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .target(
            name: "OuroborosPostgres",
            dependencies: [
                "LibC", "Ouroboros", "OuroborosNIO", "OuroborosStore", nio("NIOCore"), nio("NIOPosix"),
                logging,
                .target(name: "CPq", condition: .when(traits: ["Postgres"])),
                "TraitPostgres",
            ],
            swiftSettings: strict),
        .target(name: "OuroborosPOSIX", dependencies: ["LibC", "Ouroboros"], swiftSettings: strict),
        .target(
            name: "OuroborosTesting",
            dependencies: [
                "LibC", "Ouroboros", "OuroborosNIO", nio("NIOCore"), nio("NIOEmbedded"), nio("NIOPosix"),
            ],
            swiftSettings: strict),
        .target(
            name: "OuroborosMetrics", dependencies: ["LibC", metrics, "TraitNIO"], swiftSettings: strict),
        .systemLibrary(
            name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
        .systemLibrary(
            name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(
            name: "OuroborosSinks",
            dependencies: [
                "LibC", "Ouroboros", "OuroborosStore", "OuroborosText", "CMosquitto", curl, metrics, logging,
                nio("NIOCore"), nio("NIOHTTP1"), nio("NIOPosix"), "TraitGateway",
            ],
            swiftSettings: strict),
        .target(
            name: "OuroborosDownlink",
            dependencies: [
                "LibC", "Ouroboros", "OuroborosNIO", "OuroborosStore", "OuroborosText", logging, metrics,
            ],
            swiftSettings: strict),
        .target(
            name: "OuroborosHTTP",
            dependencies: [
                httpTypes,
                "LibC", "Ouroboros", "OuroborosDownlink", "OuroborosMetrics", "OuroborosNIO",
                "OuroborosStore", hummingbird, hummingbirdCore, lifecycle, logging, nio("NIOCore"),
                nio("NIOHTTP1"), nio("NIOPosix"), "TraitGateway",
            ],
            swiftSettings: strict),
        // Its templates, style and script are files, which become part of the binary.
        .target(
            name: "OuroborosPage",
            dependencies: ["LibC", hummingbird, mustache, logging, nio("NIOCore"), "TraitGateway"],
            resources: [.embedInCode("Resources")], swiftSettings: strict),
        .target(
            name: "OuroborosGateway",
            dependencies: [
                system,
                "LibC", "Ouroboros", "OuroborosBuild", "OuroborosDownlink", "OuroborosHTTP",
                "OuroborosMetrics", "OuroborosNIO", "OuroborosPage", "OuroborosSinks", "OuroborosStore",
                "OuroborosText",
                .target(name: "OuroborosPostgres", condition: .when(traits: ["Postgres"])),
                collections, nio("NIOCore"), logging, metrics, lifecycle, settings,
            ],
            swiftSettings: strict),
        .target(
            name: "SensorKit", dependencies: ["LibC", "Ouroboros", "OuroborosPOSIX", "OuroborosText"],
            swiftSettings: strict),
        .executableTarget(
            name: "OuroborosLean", dependencies: ["LibC", "OuroborosText", "SensorKit"],
            swiftSettings: strict),
        .systemLibrary(
            name: "CQrencode", pkgConfig: "libqrencode", providers: [.apt(["libqrencode-dev"])]),
        .systemLibrary(name: "CCSV", providers: [.apt(["libcsv-dev"])]),
        .executableTarget(
            name: "OuroborosCLI",
            dependencies: [
                qrencode, csv,
                "LibC", "Ouroboros", "OuroborosAnalysis", "OuroborosBuild", "OuroborosGateway",
                "OuroborosNIO", "OuroborosStore", "OuroborosTesting", "OuroborosText", "SensorKit",
                nio("NIOCore"), nio("NIOPosix"), logging, arguments, lifecycle, histogram, "TraitTool",
            ],
            swiftSettings: strict),
        .target(
            name: "ExampleKit", dependencies: ["Ouroboros"], path: "Sources/Examples/ExampleKit",
            swiftSettings: strict),
        example("SimpleServer", ["ExampleKit", "OuroborosNIO", logging, lifecycle]),
        example("SimpleClient", ["ExampleKit", "OuroborosNIO"]),
        example("RPiSensor", ["ExampleKit", "Ouroboros", "OuroborosPOSIX"]),
        example("AsyncClient", ["ExampleKit", "OuroborosNIO"]),
        example("SleepySensor", ["ExampleKit", "Ouroboros"]),
        example("PipeSession", ["ExampleKit", "Ouroboros"]),
        .executableTarget(
            name: "NIOBench",
            dependencies: [
                "LibC", system, "Ouroboros", "OuroborosNIO", nio("NIOCore"), nio("NIOPosix"), subprocess,
            ],
            path: "Tests/Benchmarks/NIOBench", swiftSettings: strict),
        .executableTarget(
            name: "Flood", path: "Tests/Flood", cSettings: [.treatAllWarnings(as: .error)]),
        // What C's own compiler says of the sizes that Swift's importer computes.
        .target(name: "CSizes", dependencies: ["COuroboros"], path: "Tests/CSizes"),
        .target(
            name: "TestSupport", dependencies: ["LibC", "Ouroboros", grdb], path: "Tests/TestSupport",
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosTests", dependencies: ["Ouroboros", "COuroboros", "CSizes"],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosNIOTests",
            dependencies: [
                "LibC", "Ouroboros", "OuroborosMetrics", "OuroborosNIO", "OuroborosTesting", "TestSupport",
                nio("NIOCore"), nio("NIOPosix"), logging, inMemoryLogging, lifecycle,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosMetricsTests", dependencies: ["OuroborosMetrics", metrics],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosPageTests",
            dependencies: [
                "LibC", httpTypes,
                "OuroborosPage", hummingbird, logging, nio("NIOCore"), nio("NIOEmbedded"), nio("NIOPosix"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosPOSIXTests",
            dependencies: ["Ouroboros", "OuroborosPOSIX", "OuroborosNIO", "TestSupport", nio("NIOCore")],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosTestingTests",
            dependencies: [
                "LibC", "Ouroboros", "OuroborosNIO", "OuroborosTesting", "TestSupport", nio("NIOCore"),
                nio("NIOPosix"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosStoreTests",
            dependencies: ["LibC", "Ouroboros", "OuroborosStore", "OuroborosTesting", "TestSupport", grdb],
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "OuroborosPostgresTests",
            dependencies: ["Ouroboros", "OuroborosNIO", "OuroborosPostgres", nio("NIOCore")],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosSinksTests",
            dependencies: [
                "LibC", "Ouroboros", "OuroborosSinks", "OuroborosStore", "TestSupport", logging, metrics,
                inMemoryLogging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosAnalysisTests",
            dependencies: [
                "Ouroboros", "COuroboros", "OuroborosAnalysis", "OuroborosText", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosTextTests", dependencies: ["Ouroboros", "OuroborosText"], swiftSettings: strict),
        .testTarget(
            name: "OuroborosGatewayTests",
            dependencies: [
                "LibC", "Ouroboros", "OuroborosDownlink", "OuroborosGateway", "OuroborosHTTP",
                "OuroborosNIO", "OuroborosSinks", "OuroborosStore", "TestSupport", logging, metrics,
                inMemoryLogging, lifecycle,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OuroborosCLITests",
            dependencies: [
                system,
                "Ouroboros", "OuroborosNIO", "OuroborosPostgres", "OuroborosStore", "OuroborosTesting",
                "OuroborosCLI", nio("NIOCore"), nio("NIOPosix"), hummingbird, logging, inMemoryLogging,
                subprocess,
                grdb, "SimpleServer", "SimpleClient", "RPiSensor", "AsyncClient", "SleepySensor",
                "PipeSession", "OuroborosLean",
                "NIOBench", "Flood", "LibC", "TestSupport",
            ],
            swiftSettings: strict),
    ]
)
