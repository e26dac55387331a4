import CTestSupport
import Glibc

/// The mode that an instruction runs in, and the segments it runs with.
enum OracleMode: Int, CaseIterable {
    case code64, code32, code16

    /// Selectors: the host's kernel gives programs the flat ones, the 16-bit ones are in the LDT.
    var codeSelector: UInt64 { [0x33, 0x23, 0x07][rawValue] }
    var dataSelector: UInt64 { self == .code16 ? 0x0f : 0x2b }
    var codeBase: UInt64 { self == .code16 ? OracleMachine.code : 0 }
    var dataBase: UInt64 { self == .code16 ? OracleMachine.data : 0 }
    /// Where the code starts.
    var start: UInt64 { OracleMachine.code + OracleMachine.codeOffset - codeBase }
    var isLong: Bool { self == .code64 }
    /// The address size without a 67 prefix, in bytes.
    var addressSize: UInt8 { [8, 4, 2][rawValue] }
}

/// What an instruction starts from or leaves behind: `NativeState`, with names.
///
/// Owner: whoever made it; freed with it.
@safe
final class OracleState {
    let pointer: UnsafeMutablePointer<NativeState>

    init() {
        unsafe pointer = .allocate(capacity: 1)
        unsafe pointer.initialize(to: NativeState())
    }

    deinit { unsafe pointer.deallocate() }

    var bytes: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(pointer) }
    var legacy: UnsafeMutableRawPointer { unsafe bytes + Self.legacyOffset }
    static let legacyOffset = 208
    /// Of the FXSAVE image.
    static let legacyByteCount = 416

    /// Bits 128 to 255 of the vector registers, behind the image.
    var upper: UnsafeMutableRawPointer { unsafe legacy + 512 }
    static let upperByteCount = 256

    /// Element `index` of `byteCount` bytes of a vector register, to be written.
    func element(_ register: Int, _ index: Int, _ byteCount: Int) -> UnsafeMutableRawPointer {
        let offset = index * byteCount
        return unsafe offset < 16
            ? legacy + 160 + register * 16 + offset : upper + register * 16 + offset - 16
    }

    subscript(register: Int) -> UInt64 {
        get { unsafe bytes.load(fromByteOffset: (register & 15) * 8, as: UInt64.self) }
        set {
            unsafe bytes.storeBytes(
                of: newValue, toByteOffset: (register & 15) * 8, as: UInt64.self)
        }
    }

    var rip: UInt64 {
        get { unsafe pointer.pointee.rip }
        set { unsafe pointer.pointee.rip = newValue }
    }
    var rflags: UInt64 {
        get { unsafe pointer.pointee.rflags }
        set { unsafe pointer.pointee.rflags = newValue }
    }
    /// The exception that ended the run; 3: the breakpoint after the code.
    var vector: UInt64 {
        get { unsafe pointer.pointee.vector }
        set { unsafe pointer.pointee.vector = newValue }
    }
    var errorCode: UInt64 {
        get { unsafe pointer.pointee.errorCode }
        set { unsafe pointer.pointee.errorCode = newValue }
    }
    /// CR2 of a page fault.
    var address: UInt64 {
        get { unsafe pointer.pointee.address }
        set { unsafe pointer.pointee.address = newValue }
    }

    func copy(from other: OracleState) {
        unsafe bytes.copyMemory(from: other.bytes, byteCount: MemoryLayout<NativeState>.size)
    }

    /// Not for 64-bit code.
    var is32: Bool { unsafe pointer.pointee.cs != 0x33 }

    var is16: Bool { unsafe pointer.pointee.cs == 0x07 }

    func setSegments(_ mode: OracleMode) {
        unsafe pointer.pointee.cs = mode.codeSelector
        unsafe pointer.pointee.ss = mode.dataSelector
        unsafe pointer.pointee.ds = mode.dataSelector
    }
}

/// Bytes of the data page that differ from the page of the pool.
struct OraclePatch {
    /// From the start of the page.
    var offset = 0
    var bytes: [UInt8] = []
}
