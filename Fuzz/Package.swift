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

let parts = Target.Dependency.product(name: "MartletParts", package: "martlet")

let package = Package(
    name: "martlet-fuzz",
    dependencies: [
        .package(name: "martlet", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: [
        .target(
            name: "CFuzzHost",
            linkerSettings: [
                .linkedLibrary("lzma"), .linkedLibrary("z"), .linkedLibrary("zstd"),
                .linkedLibrary("lz4"),
            ]),
        .target(name: "FuzzTargets", dependencies: ["CFuzzHost", parts], swiftSettings: strict),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "CFuzzHost", "FuzzTargets",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ReplayTests", dependencies: ["FuzzTargets"], swiftSettings: strict),
    ]
)
