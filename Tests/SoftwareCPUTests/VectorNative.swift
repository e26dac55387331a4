import CEngine
import Glibc

/// Runs one instruction on the host's processor, from a given state to the state after it.
///
/// The state is a block of bytes: RAX, RBX, RCX, RDX, RSI, RFLAGS at 0 to 40, a neutral MXCSR at
/// 48, what the exception handler left at 56 (1: SIGFPE), and an FXSAVE image at 64. RDI is RSI
/// while the instruction runs.
@safe
final class NativeVectorUnit {
    static let stateByteCount = 64 + 512
    private let code: UnsafeMutableRawPointer
    private static let codeByteCount = 4096

    private static let prologue: [UInt8] = [
        0x53,  // push rbx
        0x49, 0x89, 0xfb,  // mov r11, rdi
        0x45, 0x31, 0xd2,  // xor r10d, r10d
        0x49, 0x0f, 0xae, 0x4b, 0x40,  // fxrstor64 [r11+64]
        0x41, 0xff, 0x73, 0x28,  // push [r11+40]
        0x9d,  // popfq
        0x49, 0x8b, 0x03,  // mov rax, [r11]
        0x49, 0x8b, 0x5b, 0x08,  // mov rbx, [r11+8]
        0x49, 0x8b, 0x4b, 0x10,  // mov rcx, [r11+16]
        0x49, 0x8b, 0x53, 0x18,  // mov rdx, [r11+24]
        0x49, 0x8b, 0x73, 0x20,  // mov rsi, [r11+32]
        0x48, 0x89, 0xf7,  // mov rdi, rsi
    ]
    private static let epilogue: [UInt8] = [
        0x4d, 0x89, 0x53, 0x38,  // mov [r11+56], r10
        0x49, 0x89, 0x03,  // mov [r11], rax
        0x49, 0x89, 0x5b, 0x08,  // mov [r11+8], rbx
        0x49, 0x89, 0x4b, 0x10,  // mov [r11+16], rcx
        0x49, 0x89, 0x53, 0x18,  // mov [r11+24], rdx
        0x49, 0x89, 0x73, 0x20,  // mov [r11+32], rsi
        0x9c,  // pushfq
        0x41, 0x8f, 0x43, 0x28,  // pop [r11+40]
        0x49, 0x0f, 0xae, 0x43, 0x40,  // fxsave64 [r11+64]
        0xdb, 0xe3,  // fninit
        0x41, 0x0f, 0xae, 0x53, 0x30,  // ldmxcsr [r11+48]
        0x5b,  // pop rbx
        0xc3,  // ret
    ]

    /// Marks a page of test code for the signal handler, which finds the address to go on at in the
    /// word behind it.
    private static let mark: UInt64 = 0x6d61_7274_6c65_7476
    private static let markOffset = codeByteCount - 16

    /// Sends a floating-point exception of test code to the end of that code.
    private static let handlerInstalled: Bool = {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_sigaction = { _, _, context in
            guard let context = unsafe context?.assumingMemoryBound(to: ucontext_t.self) else {
                return
            }
            let instructionPointer = 16  // REG_RIP
            let scratch = 2  // REG_R10
            unsafe withUnsafeMutableBytes(of: &context.pointee.uc_mcontext.gregs) { registers in
                let rip = unsafe registers.load(
                    fromByteOffset: instructionPointer * 8, as: UInt.self)
                let page = unsafe UnsafeRawPointer(bitPattern: rip & ~0xfff)
                let found = unsafe page?.load(fromByteOffset: markOffset, as: UInt64.self)
                guard let page = unsafe page, found == mark else { abort() }
                let next = unsafe page.load(fromByteOffset: markOffset + 8, as: UInt.self)
                unsafe registers.storeBytes(
                    of: next, toByteOffset: instructionPointer * 8, as: UInt.self)
                unsafe registers.storeBytes(of: 1, toByteOffset: scratch * 8, as: UInt.self)
            }
        }
        action.sa_flags = SA_SIGINFO
        return unsafe sigaction(SIGFPE, &action, nil) == 0
    }()

    init() {
        precondition(Self.handlerInstalled)
        let pages = unsafe mmap(
            nil, Self.codeByteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let pages = unsafe pages, unsafe pages != MAP_FAILED else {
            preconditionFailure("no memory for test code: errno \(errno)")
        }
        unsafe code = pages
    }

    deinit {
        unsafe munmap(code, Self.codeByteCount)
    }

    /// `state` is aligned to 64 bytes.
    func run(_ instruction: [UInt8], on state: UnsafeMutableRawPointer) {
        let bytes = Self.prologue + instruction + Self.epilogue
        unsafe mprotect(code, Self.codeByteCount, PROT_READ | PROT_WRITE)
        for (index, byte) in bytes.enumerated() {
            unsafe code.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
        let end = unsafe UInt(bitPattern: code) + UInt(Self.prologue.count + instruction.count)
        unsafe code.storeBytes(of: Self.mark, toByteOffset: Self.markOffset, as: UInt64.self)
        unsafe code.storeBytes(of: end, toByteOffset: Self.markOffset + 8, as: UInt.self)
        unsafe mprotect(code, Self.codeByteCount, PROT_READ | PROT_EXEC)
        // SAFETY: the bytes above are a complete function of this type.
        let function = unsafe unsafeBitCast(
            code, to: (@convention(c) (UnsafeMutableRawPointer) -> Void).self)
        unsafe function(state)
    }
}
