// swift-tools-version: 6.3
import PackageDescription

// A package of its own: what libFuzzer drives has no main, and takes its instrumentation from
// `swift build --sanitize fuzzer`.
let package = Package(
    name: "fuzz",
    dependencies: [.package(name: "ouroboros", path: "../../..", traits: [])],
    targets: [
        .executableTarget(
            name: "fuzz_analyzer",
            dependencies: [
                .product(name: "Ouroboros", package: "ouroboros"),
                .product(name: "OuroborosAnalysis", package: "ouroboros"),
            ],
            path: "Sources", swiftSettings: [.swiftLanguageMode(.v6)])
    ]
)
