import Testing

@testable import Boot

/// What modules say they need.
struct KernelModuleTests {
    private let module: [UInt8] = Array(
        "\0version=1\0softdep=pre: crypto-crc32c other-one post: later\0depends=jbd2,mb-cache\0"
            .utf8)

    @Test func dependencies() {
        #expect(KernelModules.dependencies(module) == ["jbd2", "mb_cache"])
        #expect(KernelModules.dependencies(Array("\0depends=\0".utf8)).isEmpty)
        #expect(KernelModules.dependencies([0, 0, 0]).isEmpty)
    }

    @Test func softDependencies() {
        #expect(KernelModules.softDependencies(module) == ["crc32c", "other_one"])
        #expect(KernelModules.softDependencies(Array("\0softdep=post: x\0".utf8)).isEmpty)
        #expect(KernelModules.softDependencies([]).isEmpty)
    }
}
