import Foundation
import Testing

/// What `--cpu` makes of the guest's processor.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct ProcessorTests {
    private static let version3: Set<String> = [
        "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave", "xsavec",
    ]

    private static func flags(_ text: String) -> Set<String> {
        let line = text.split(separator: "\n").first { $0.hasPrefix("flags") }
        return Set((line ?? "").split(whereSeparator: \.isWhitespace).dropFirst(2).map(String.init))
    }

    private static let hostFlags =
        flags((try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "")

    /// The host has what `--cpu v3` needs.
    static let isVersion3 = version3.isSubset(of: hostFlags)

    private func guestFlags(_ options: [String]) throws -> (flags: Set<String>, troubles: String) {
        let script = """
            grep -m 1 ^flags /proc/cpuinfo
            dmesg | grep -E 'BUG:|WARNING:|Oops|Call Trace|unchecked MSR|lockup|XSAVE consistency'
            """
        let result = try Martlet.run(
            ["run", "--timeout", "240"] + options + ["--", "sh", "-c", script])
        let text = String(decoding: result.output, as: UTF8.self)
        let troubles = text.split(separator: "\n").filter { !$0.hasPrefix("flags") }
        return (Self.flags(text), troubles.joined(separator: "\n"))
    }

    @Test(.enabled(if: isVersion3), arguments: ["translator", "interpreter"])
    func version3HasItsFlags(_ engine: String) throws {
        let guest = try guestFlags(["--cpu", "v3", "--engine", engine, "--cpus", "2"])
        #expect(guest.flags.isSuperset(of: Self.version3))
        #expect(guest.troubles == "")
        // AVX-512 is nobody's.
        #expect(!guest.flags.contains { $0.hasPrefix("avx512") })
    }

    @Test func withoutTheOptionTheBestOfTheTwoIsThere() throws {
        let guest = try guestFlags([])
        #expect(guest.flags.isSuperset(of: Self.version3) == Self.isVersion3)
        #expect(guest.troubles == "")
    }

    @Test func version2HasNoneOfThem() throws {
        let guest = try guestFlags(["--cpu", "v2"])
        #expect(guest.flags.contains("sse4_2") && guest.flags.contains("xsave"))
        #expect(guest.flags.isDisjoint(with: ["avx", "bmi1", "fma", "movbe", "abm", "adx"]))
        #expect(guest.troubles == "")
    }

    /// All of the guest's flags for vectors are the host's.
    @Test func hostHasWhatThisHostHas() throws {
        let guest = try guestFlags(["--cpu", "host"])
        let wanted = Self.version3.union(["adx", "sha_ni", "vaes", "vpclmulqdq"])
        #expect(guest.flags.intersection(wanted) == Self.hostFlags.intersection(wanted))
        #expect(guest.troubles == "")
    }

    @Test(.enabled(if: !isVersion3)) func version3IsOneLineWhereTheHostLacksIt() throws {
        let result = try Martlet.run(["run", "--cpu", "v3", "--", "true"])
        #expect(result.status == 125)
        let line = String(decoding: result.errors, as: UTF8.self)
        #expect(line.hasPrefix("martlet: ") && line.split(separator: "\n").count == 1, "\(line)")
    }
}
