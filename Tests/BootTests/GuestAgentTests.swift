import Testing

@testable import Boot

@Suite struct GuestAgentTests {
    /// The bytes that are checked in are what the sources make, with the compiler that made them.
    @Test func theProgramIsTheOneOfTheSources() throws {
        var root = #filePath.split(separator: "/")
        root.removeLast(3)
        let folder = "/" + root.joined(separator: "/") + "/Guests/agent"
        guard HostFiles.exists(folder),
            let version = try? HostCommand.run(["clang", "--version"]),
            version.output.split(separator: "\n").first.map(String.init) == GuestAgentImage.compiler
        else { return }
        let output =
            "/tmp/martlet-agent-test.\(GuestAgentImage.byteCount).\(UInt64.random(in: 0...UInt64.max))"
        let made = try HostCommand.run(["make", "-s", "-C", folder, "OUT=\(output)", output])
        try #require(made.status == 0, "\(made.errors)")
        let bytes = try HostFiles.read(output)
        HostFiles.removeTree(output)
        #expect(bytes == GuestSystem.agent, "run make in Guests/agent")
    }
}
