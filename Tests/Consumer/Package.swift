// swift-tools-version: 6.3
import PackageDescription

// A package as a user would write it: by path, or by the URL in the environment, and with the engine alone.
let ouroboros: Package.Dependency =
    if let url = Context.environment["OUROBOROS_URL"] {
        .package(url: url, branch: "main", traits: [])
    } else {
        .package(name: "ouroboros", path: "../..", traits: [])
    }

let package = Package(
    name: "consumer",
    dependencies: [ouroboros],
    targets: [
        .executableTarget(
            name: "Consumer", dependencies: [.product(name: "Ouroboros", package: "ouroboros")])
    ]
)
