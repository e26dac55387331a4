// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "martlet-tools",
    targets: [
        .executableTarget(
            name: "InstructionTableGenerator",
            swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]),
        .executableTarget(
            name: "HandlerTableGenerator",
            swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]),
    ]
)
