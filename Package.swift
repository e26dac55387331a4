// swift-tools-version: 6.3
import PackageDescription

// Every target is compiled with the same strict settings; see CONTRIBUTING.md.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: name + "Tests",
        dependencies: [.byName(name: name), "TestSupport"] + dependencies,
        swiftSettings: strict)
}

let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet", targets: ["martlet"]),
        .library(name: "Martlet", targets: ["Machine"]),
        // For Fuzz/ and Benchmarks/ only: the parts that take bytes from strangers.
        .library(
            name: "MartletParts",
            targets: ["Vocabulary", "GuestMemory", "VirtualCPU", "X86", "SoftwareCPU", "Boot"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Row C: headers and system libraries.
        .target(name: "CHost"),
        .target(name: "CEngine"),
        .systemLibrary(
            name: "CLZMA", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        // Its pkg-config file asks for glib-2.0's, which its package does not bring along.
        .systemLibrary(name: "CSlirp", providers: [.apt(["libslirp-dev"])]),
        // Not a system library: liburing's header and Swift's module of the C library exclude each other.
        .target(name: "CUring", linkerSettings: [.linkedLibrary("uring")]),
        .systemLibrary(name: "CNBD", pkgConfig: "libnbd", providers: [.apt(["libnbd-dev"])]),
        // Row 1.
        room("Vocabulary"),
        room("HostIO", ["CHost", "Vocabulary"]),
        room("GuestMemory", ["CHost", "Vocabulary"]),
        room("Trace", ["Vocabulary", "HostIO"]),
        // Row 2.
        room("VirtualCPU", ["CEngine", "Vocabulary", "GuestMemory"]),
        // Row 3.
        room("X86", ["Vocabulary"]),
        room(
            "SoftwareCPU",
            ["CEngine", "CHost", "Vocabulary", "HostIO", "GuestMemory", "VirtualCPU", "X86"]),
        room(
            "Interrupts",
            ["Vocabulary", "HostIO", "GuestMemory", "Trace", "VirtualCPU", histogram]),
        room("Clocks", ["CHost", "Vocabulary", "HostIO", "GuestMemory", "Trace"]),
        room("Bus", ["Vocabulary", "HostIO"]),
        // Row 4.
        room("LegacyDevices", ["Vocabulary", "HostIO", "Bus", "Clocks", "Interrupts"]),
        room(
            "KVMParavirt",
            ["Vocabulary", "HostIO", "GuestMemory", "VirtualCPU", "Clocks", "X86"]),
        room("Paging", ["CHost", "CLZMA", "Vocabulary", "HostIO", "GuestMemory"]),
        room("XenStore", ["Vocabulary"]),
        room(
            "Xen",
            [
                "Vocabulary", "HostIO", "GuestMemory", "VirtualCPU", "Clocks", "Interrupts",
                "XenStore",
            ]),
        room("Networks", ["CHost", "CSlirp", "Vocabulary", "HostIO"]),
        room("Disks", ["CHost", "CUring", "CNBD", "CZlib", "CZstd", "Vocabulary", "HostIO"]),
        // Row 5.
        room(
            "Boot",
            ["CLZMA", "CZlib", "CZstd", "CLZ4", "Vocabulary", "GuestMemory", "VirtualCPU", "X86"]),
        room("Snapshot", ["CHost", "CNBD", "CLZMA", "CZlib", "CZstd", "Vocabulary", "HostIO"]),
        room("Scheduler", ["CHost", "Vocabulary", "HostIO", "VirtualCPU"]),
        room(
            "XenBackends",
            [
                "Vocabulary", "HostIO", "GuestMemory", "Interrupts", "XenStore", "Xen", "Disks",
                "Networks",
            ]),
        // Row 6.
        room(
            "Machine",
            [
                "CHost", "Vocabulary", "HostIO", "GuestMemory", "Trace", "VirtualCPU", "X86",
                "SoftwareCPU", "Interrupts", "Clocks", "Bus", "LegacyDevices", "KVMParavirt",
                "XenStore", "Xen", "Disks", "Networks", "Boot", "Scheduler", "XenBackends",
                "Snapshot", "Paging",
            ]),
        // Row 7.
        room(
            "CLICommands",
            [
                "CHost", "Vocabulary", "HostIO", "Trace", "VirtualCPU", "X86", "XenStore", "Disks",
                "Networks", "Boot", "Snapshot", "Machine", argumentParser,
            ]),
        .executableTarget(
            name: "martlet", dependencies: ["CLICommands", argumentParser], swiftSettings: strict),
        // Tests.
        .target(
            name: "TestSupport",
            dependencies: [
                "CHost", "Vocabulary", "HostIO", "GuestMemory", "VirtualCPU", "X86", "Interrupts",
                "Clocks", "Bus",
            ],
            path: "Tests/TestSupport",
            swiftSettings: strict),
        tests("GuestMemory", ["Vocabulary"]),
        tests("HostIO", ["Vocabulary"]),
        tests("Trace", ["Vocabulary", "HostIO"]),
        .systemLibrary(
            name: "CCapstone", path: "Tests/CCapstone", pkgConfig: "capstone",
            providers: [.apt(["libcapstone-dev"])]),
        tests("X86", ["Vocabulary", "CCapstone"]),
        .target(name: "CTestSupport", path: "Tests/CTestSupport"),
        tests(
            "SoftwareCPU",
            ["CEngine", "CTestSupport", "Vocabulary", "GuestMemory", "VirtualCPU", "X86"]),
        tests("Interrupts", ["Vocabulary", "HostIO", "GuestMemory", "Trace", "VirtualCPU"]),
        tests("Clocks", ["Vocabulary", "HostIO"]),
        tests("Bus", ["Vocabulary"]),
        tests("LegacyDevices", ["Vocabulary", "HostIO", "Bus", "Clocks", "Interrupts"]),
        tests("KVMParavirt", ["Vocabulary", "HostIO", "GuestMemory", "VirtualCPU", "Clocks"]),
        tests("XenStore", ["Vocabulary"]),
        tests("Networks", ["CHost", "CTestSupport", "Vocabulary", "HostIO"]),
        tests("Disks", ["Vocabulary", "HostIO"]),
        tests(
            "Boot",
            ["CLZMA", "CZlib", "CZstd", "CLZ4", "Vocabulary", "GuestMemory", "VirtualCPU", "X86"]),
        tests("Xen", ["Vocabulary", "HostIO", "GuestMemory", "VirtualCPU", "Clocks"]),
        tests(
            "XenBackends",
            [
                "Vocabulary", "GuestMemory", "VirtualCPU", "Interrupts", "XenStore", "Xen", "Disks",
                "Networks",
            ]),
        tests("Paging", ["Vocabulary", "GuestMemory", "HostIO"]),
        .testTarget(
            name: "SnapshotTests",
            dependencies: ["Snapshot", "TestSupport", "Vocabulary", "HostIO"],
            exclude: ["Fixtures"], swiftSettings: strict),
        tests("Scheduler", ["Vocabulary", "HostIO", "VirtualCPU"]),
        tests(
            "Machine",
            [
                "Vocabulary", "HostIO", "GuestMemory", "VirtualCPU", "Boot", "Bus", "Clocks",
                "Interrupts", "LegacyDevices", "KVMParavirt", "Scheduler", "SoftwareCPU",
            ]),
        tests(
            "CLICommands",
            [
                "Vocabulary", "X86", "Disks", "Networks", "XenBackends", "Snapshot", "Machine",
                "Boot", argumentParser,
            ]),
        .testTarget(name: "ArchitectureTests", swiftSettings: strict),
    ]
)
