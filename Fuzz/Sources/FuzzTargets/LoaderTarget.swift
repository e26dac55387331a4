import Boot
import GuestMemory
import VirtualCPU
import Vocabulary

/// Any bytes as a kernel: a state to start from, or an error of one line, in bounded time and memory.
///
/// A case is the file.
public final class LoaderTarget: FuzzTarget {
    public static let name = "loader"
    public static let secondsLimit = 10.0
    /// The largest image, once more while its array grows, and what the file itself takes.
    public static let memoryLimit: UInt64 = 1600 << 20

    private static let byteCount: UInt64 = 24 << 20
    private let memory: GuestMemory
    private let map = [BootLoader.MapEntry(start: 0, byteCount: byteCount, type: 1)]
    private let canaries = Canaries()

    public init() throws { memory = try GuestMemory(byteCount: Self.byteCount) }

    public func makeCase(_ random: inout FuzzRandom) -> [UInt8] { KernelFile.make(&random) }

    public func run(_ bytes: [UInt8]) -> String? {
        let disk = [UInt8](repeating: 0xd5, count: bytes.count & 0x1fff)
        do {
            let state = try BootLoader.load(
                kernel: bytes, initialRAMDisk: disk, commandLine: "quiet", memoryMap: map,
                rootSystemDescriptionPointer: 0xe0000, into: memory)
            if state.rip > 0xffff_ffff { return "starts at \(String(state.rip, radix: 16))" }
        } catch {
            let message = error.message
            if message.isEmpty || message.contains("\n") || message.utf8.count > 300 {
                return "the error is not one line: \(message)"
            }
        }
        return canaries.fault
    }
}

/// Memory of ours that nothing may write to, taken before and after what is tested and so beside it.
@safe
final class Canaries {
    private static let byteCount = 64 << 10
    private static let value: UInt64 = 0x5ca1_ab1e_0ddb_a115
    private let places: [UnsafeMutablePointer<UInt64>]

    init() {
        unsafe places = (0..<4).map { _ in
            let words = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.byteCount / 8)
            unsafe words.initialize(repeating: Self.value, count: Self.byteCount / 8)
            return unsafe words
        }
    }

    deinit {
        for index in 0..<4 { unsafe places[index].deallocate() }
    }

    /// Nil as long as every word is what it was.
    var fault: String? {
        for place in 0..<4 {
            for word in 0..<Self.byteCount / 8
            // SAFETY: allocated with this many words in init.
            where unsafe places[place][word] != Self.value {
                return "memory outside the guest's was written"
            }
        }
        return nil
    }
}
