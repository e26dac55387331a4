// swift-tools-version: 6.3
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "martlet-benchmarks",
    dependencies: [.package(name: "martlet", path: "..")],
    targets: [
        // What is measured, on which sides, and what is made of the numbers. Starts nothing.
        .target(name: "Comparison", swiftSettings: strict),
        .executableTarget(
            name: "bench",
            dependencies: [
                "Comparison", .product(name: "MartletParts", package: "martlet"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ComparisonTests", dependencies: ["Comparison"], swiftSettings: strict),
    ]
)
