/// The architectural state of one processor as a value: what a snapshot holds, what a report prints
/// and what a test compares. No engine keeps its state in this form.
public struct ArchitecturalState: Codable, Sendable, Equatable {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    public var generalPurposeRegisters = [UInt64](repeating: 0, count: 16)
    public var rip: UInt64 = 0xfff0
    /// RFLAGS, all bits.
    public var rflags: UInt64 = 2

    public var es = Segment.resetData
    public var cs = Segment.resetCode
    public var ss = Segment.resetData
    public var ds = Segment.resetData
    public var fs = Segment.resetData
    public var gs = Segment.resetData
    public var localDescriptorTable = Segment(selector: 0, base: 0, limit: 0xffff, attributes: 0x82)
    public var taskRegister = Segment(selector: 0, base: 0, limit: 0xffff, attributes: 0x8b)
    public var gdt = DescriptorTable()
    public var idt = DescriptorTable()

    public var cr0: UInt64 = 0x6000_0010
    public var cr2: UInt64 = 0
    public var cr3: UInt64 = 0
    public var cr4: UInt64 = 0
    public var xcr0: UInt64 = 1
    /// DR0 to DR3, DR6 and DR7 at their own index; 4 and 5 unused.
    public var debugRegisters: [UInt64] = [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400]

    public var modelSpecific = ModelSpecificRegisters()
    public var vector = VectorState()
    public var x87 = X87State()

    /// The next instruction boundary takes no interrupt: after STI, MOV SS and POP SS.
    public var interruptShadow = false
    /// An NMI handler runs: the next NMI waits for IRET.
    public var nonMaskableInterruptsBlocked = false
    /// The enable bit of IA32_APIC_BASE: the register is the local APIC's, but CPUID shows the bit.
    public var localAPICIsEnabled = true
    /// HLT was executed and nothing has woken the processor.
    public var isHalted = false

    /// The power-up state (Intel SDM volume 3, table 10-1).
    public init() {}

    /// A segment register with its hidden part.
    public struct Segment: Codable, Sendable, Equatable {
        public var selector: UInt16
        public var base: UInt64
        /// In bytes, granularity applied.
        public var limit: UInt32
        /// Bits 8 to 23 of the descriptor's second word, shifted right by 8, without the limit:
        /// type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15.
        public var attributes: UInt16

        public init(selector: UInt16, base: UInt64, limit: UInt32, attributes: UInt16) {
            self.selector = selector
            self.base = base
            self.limit = limit
            self.attributes = attributes
        }

        public static let resetCode = Segment(
            selector: 0xf000, base: 0xffff_0000, limit: 0xffff, attributes: 0x9b)
        public static let resetData = Segment(
            selector: 0, base: 0, limit: 0xffff, attributes: 0x93)
    }

    /// GDTR or IDTR.
    public struct DescriptorTable: Codable, Sendable, Equatable {
        public var base: UInt64
        public var limit: UInt16

        public init(base: UInt64 = 0, limit: UInt16 = 0xffff) {
            self.base = base
            self.limit = limit
        }
    }

    /// The registers of RDMSR and WRMSR that belong to the processor. Those of the local APIC and
    /// of the paravirtual faces belong to their rooms.
    public struct ModelSpecificRegisters: Codable, Sendable, Equatable {
        public var efer: UInt64 = 0
        public var star: UInt64 = 0
        public var lstar: UInt64 = 0
        public var cstar: UInt64 = 0
        public var syscallMask: UInt64 = 0
        public var kernelGSBase: UInt64 = 0
        public var sysenterCS: UInt64 = 0
        public var sysenterESP: UInt64 = 0
        public var sysenterEIP: UInt64 = 0
        public var pat: UInt64 = 0x0007_0406_0007_0406
        public var tscAux: UInt64 = 0
        public var tscAdjust: UInt64 = 0
        /// Guest TSC at the moment the state was taken.
        public var tsc: UInt64 = 0
        public var miscEnable: UInt64 = 1
        public var xss: UInt64 = 0
        public var mtrrDefaultType: UInt64 = 0
        /// 64K_00000, 16K_80000, 16K_A0000, 4K_C0000 to 4K_F8000.
        public var fixedMTRR = [UInt64](repeating: 0, count: 11)
        /// Base and mask of each of eight.
        public var variableMTRR = [UInt64](repeating: 0, count: 16)

        public init() {}
    }

    /// XMM registers, low half first, with MXCSR.
    public struct VectorState: Codable, Sendable, Equatable {
        public var low = [UInt64](repeating: 0, count: 16)
        public var high = [UInt64](repeating: 0, count: 16)
        /// Bits 128 to 255 of the YMM registers, low half first, for engines that have AVX.
        public var upperLow = [UInt64](repeating: 0, count: 16)
        public var upperHigh = [UInt64](repeating: 0, count: 16)
        public var mxcsr: UInt32 = 0x1f80

        public init() {}
    }

    /// The x87 unit. Registers are physical, R0 to R7, not ST(i).
    public struct X87State: Codable, Sendable, Equatable {
        public var significand = [UInt64](repeating: 0, count: 8)
        public var signExponent = [UInt16](repeating: 0, count: 8)
        public var control: UInt16 = 0x40
        public var status: UInt16 = 0
        /// As in FXSAVE: bit i set when physical register i is not empty.
        public var tags: UInt8 = 0xff
        public var opcode: UInt16 = 0
        public var instructionPointer: UInt64 = 0
        public var dataPointer: UInt64 = 0
        public var instructionSelector: UInt16 = 0
        public var dataSelector: UInt16 = 0

        public init() {}
    }
}
