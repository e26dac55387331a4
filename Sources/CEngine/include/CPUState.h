// The architectural and run-time state of one virtual processor of the software engine.
#ifndef MARTLET_CPUSTATE_H
#define MARTLET_CPUSTATE_H

#include <stdint.h>

struct CPUState;
struct DecodedInstruction;

/// The code of one decoded instruction. Returns the instruction to run next, or NULL to leave the
/// run loop; `CPUState.leaveReason` then says why.
typedef const struct DecodedInstruction *_Nullable (*InstructionHandler)(
    struct CPUState *_Nonnull cpu, const struct DecodedInstruction *_Nonnull instruction);

/// One instruction, lowered: 32 bytes, operands resolved to places in `CPUState`.
///
/// `handler` comes first so that one load and one jump run it. Another vCPU may replace `handler`
/// (when the bytes it was made from change), so it is read with one aligned load. `immediate` may be
/// a pointer, so it is no safe type.
typedef struct __attribute__((swift_attr("unsafe"))) DecodedInstruction {
    InstructionHandler _Nonnull handler;
    /// Immediate, or form-specific data. Direct branches: the instruction to continue with once
    /// linked, or null.
    uint64_t immediate;
    /// Displacement of the memory operand, or of a direct branch. What does not fit:
    /// `INSTRUCTION_SLOW_ADDRESS`.
    int32_t displacement;
    /// Byte offsets into CPUState of the register operands. Direct branches and calls have in
    /// `destination` where the instruction behind them is, from the start of the page.
    uint16_t destination;
    uint16_t source;
    /// Base, index and segment base, counted in eight bytes from the start of CPUState; absent ones
    /// point at `CPUState.zero`.
    uint8_t base;
    uint8_t index;
    uint8_t segmentBase;
    /// 1, 2, 4 or 8 as a shift count.
    uint8_t scaleShift;
    /// Bits 0 to 11: bytes from the start of the linear page to the first byte of the instruction.
    /// Bits 12 to 15: its length in bytes, 1 to 15.
    uint16_t place;
    /// `InstructionFlags` bits.
    uint8_t flags;
    /// Form-specific: third operand, small immediate, condition.
    uint8_t auxiliary;
} DecodedInstruction;

_Static_assert(sizeof(DecodedInstruction) == 32, "two to a cache line");

// Ways out of handlers that go on with the next instruction as their last act. What a compiler sees
// to be a call of C with the result of a handler it makes a jump of, wherever there are several.

/// Returns `instruction`: the run loop goes on with it.
const DecodedInstruction *_Nullable cengine_return(struct CPUState *_Nonnull cpu,
                                                   const DecodedInstruction *_Nonnull instruction);
/// Runs `handler`.
const DecodedInstruction *_Nullable cengine_run(struct CPUState *_Nonnull cpu,
                                                const DecodedInstruction *_Nonnull instruction,
                                                InstructionHandler _Nonnull handler);

enum {
    /// Effective address size: 16 bits, 32 bits; neither: 64 bits, of a segment that is not looked at.
    INSTRUCTION_ADDRESS16 = 1 << 0,
    INSTRUCTION_ADDRESS32 = 1 << 1,
    /// Either: the effective address needs more than base + index * scale + displacement + segment
    /// base. Both: 64 bits, and its offset does not fit into `displacement`. Relative to the
    /// instruction pointer, `displacement` counts from the end of the instruction; without a base,
    /// the offset is `immediate`.
    INSTRUCTION_SLOW_ADDRESS = INSTRUCTION_ADDRESS16 | INSTRUCTION_ADDRESS32,
    /// LOCK prefix.
    INSTRUCTION_LOCKED = 1 << 2,
    /// No instruction, but the end of a block: it has the place of the last instruction, and goes on
    /// behind that.
    INSTRUCTION_END = 1 << 3,
    /// Bits 4 to 6: the segment register of the memory operand, 0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS.
    INSTRUCTION_SEGMENT_SHIFT = 4,
    /// It reads or writes memory, the stack included.
    INSTRUCTION_ACCESSES_MEMORY = 1 << 7,
};

/// A segment register with its hidden part.
typedef struct SegmentRegister {
    uint64_t base;
    /// In bytes, granularity applied.
    uint32_t limit;
    uint16_t selector;
    /// Bits 8-15 and 20-23 of the descriptor's second word, shifted right by 8: type 3:0, S 4,
    /// DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15. Bit 16 is not there: an unusable segment has P = 0.
    uint16_t attributes;
} SegmentRegister;

/// One entry of the data TLB. A tag is the linear page address with the translation context in its
/// low 12 bits; a tag that can never match is all ones.
typedef struct TLBEntry {
    uint64_t readTag;
    uint64_t writeTag;
    /// Host address minus linear address.
    uint64_t addend;
    /// Guest physical page address, with attribute bits of the entry in the low 12.
    uint64_t physical;
} TLBEntry;

/// One entry of the instruction TLB: the linear page address with the translation context, without what
/// data accesses alone look at, and where the page is.
typedef struct FetchEntry {
    uint64_t tag;
    uint64_t physical;
} FetchEntry;

/// A 128-bit vector register.
typedef struct __attribute__((aligned(16))) Vector128 {
    uint64_t low;
    uint64_t high;
} Vector128;

/// An 80-bit x87 register in a 16-byte slot, significand first.
typedef struct __attribute__((aligned(16))) X87Register {
    uint64_t significand;
    uint16_t signExponent;
    uint16_t reserved[3];
} X87Register;

/// A 256-bit vector register in one piece.
typedef struct Vector256 {
    Vector128 low;
    Vector128 high;
} Vector256;

/// Operands and results of one core: see Cores.h.
typedef struct CoreFrame {
    /// 0 XMM0 or a register in an immediate byte, 1 ModRM.reg, 2 VEX.vvvv, 3 ModRM.rm.
    Vector256 vector[4];
    /// ModRM.reg, VEX.vvvv, RDX, ModRM.rm or an address.
    uint64_t rax, rcx, rdx, rsi;
    /// In the layout of `CPUState.statusFlags`.
    uint64_t flags;
    uint64_t reserved;
    /// What cores that only know memory operands read or write at RSI: at a multiple of 32 bytes,
    /// which some of them want.
    Vector128 memory[3];
} CoreFrame;

enum {
    TLB_ENTRY_COUNT = 2048,
    /// Entries that another page took the place of: one for each place.
    TLB_VICTIM_COUNT = TLB_ENTRY_COUNT,
    FETCH_ENTRY_COUNT = 256,
    /// Chains of blocks in one generation. A page's blocks are in 64 neighbouring ones.
    BLOCK_CHAIN_COUNT = 1 << 17,
    JUMP_CACHE_ENTRY_COUNT = 16384,
    MMIO_REPLAY_COUNT = 16,
};

/// The bit of a linear address that says: look at the segment first.
#define LEGACY_BASE_CHECKED 0x4000000000000000ull
/// What remains of base + offset outside 64-bit code.
#define LEGACY_ADDRESS_MASK 0x40000000ffffffffull

/// Looks a linear instruction address up: the first instruction of its block.
typedef struct JumpCacheEntry {
    /// The linear address, and the translation and mode context it was made in.
    uint64_t address;
    uint64_t context;
    const DecodedInstruction *_Nullable instruction;
    /// Where translated code goes on with it: the block's translation, or the way back to the run loop.
    uint64_t code;
} JumpCacheEntry;

typedef struct CPUState {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    uint64_t gpr[16];
    /// Always zero: where absent base and index registers point.
    uint64_t zero;
    /// Linear address of the page that the running block lies in.
    uint64_t codePage;
    /// Arithmetic flags in the layout of LAHF and SETO: AH = SF ZF 0 AF 0 PF 1 CF, AL = OF.
    uint64_t statusFlags;
    /// Where the TLB tag of lower- and upper-half addresses gets its low bits.
    uint64_t tlbContext[2];
    /// What a jump cache entry's context must equal, for lower- and upper-half targets.
    uint64_t jumpContext[2];
    /// The bits of the pending word the guest can take now.
    uint32_t pendingMask;
    /// The engine runs one instruction at a time: trap flag, breakpoints, replay of an exit.
    uint32_t stepping;
    /// Instructions left to run before the engine comes back.
    int64_t budget;
    /// The first instruction (the header) of the running block.
    const DecodedInstruction *_Nullable block;
    /// Points to the atomic word of `PendingEvents`.
    const uint32_t *_Nonnull pendingWord;

    /// `VectorResidency` in Swift. Not 0: the vector registers are in the host's and `xmm` is out of
    /// date; 2: `upper` too. Only within translated code.
    uint32_t vectorsResident;
    uint32_t reserved0;

    /// Instruction pointer (not linear address); up to date only outside the run loop.
    uint64_t rip;
    /// RFLAGS without the arithmetic flags: TF, IF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID, bit 1.
    uint64_t systemFlags;
    /// +1 or -1: direction of string instructions.
    int64_t direction;

    /// Why the run loop was left: `LeaveReason` in Swift, 0 none.
    uint32_t leaveReason;
    /// The exception to deliver, its error code, and whether it has one.
    uint8_t faultVector;
    uint8_t faultHasErrorCode;
    uint16_t faultErrorCode;
    uint64_t faultAddress;
    /// What the exit carries: port, address, width, value.
    uint64_t exitAddress;
    uint64_t exitValue;
    uint32_t exitWidth;
    /// Interrupts stay off for one instruction after STI or a load of SS.
    uint32_t interruptShadow;

    SegmentRegister segments[6];
    /// Outside 64-bit code: the base of each segment, with LEGACY_BASE_CHECKED added where its limit or
    /// rights can be violated. A linear address with that bit hits no TLB entry.
    uint64_t legacyBase[6];
    SegmentRegister localDescriptorTable;
    SegmentRegister taskRegister;
    uint64_t gdtBase;
    uint64_t idtBase;
    uint32_t gdtLimit;
    uint32_t idtLimit;

    uint64_t cr0;
    uint64_t cr2;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t dr[8];
    /// PAE paging outside IA-32e mode: the four entries that a load of CR3 reads.
    uint64_t pdpte[4];
    /// DR6 bits of debug traps that are taken once the instruction is done.
    uint64_t pendingDebug;
    uint64_t xcr0;
    /// What XSETBV accepts.
    uint64_t extendedStates;
    uint64_t xss;
    /// 0 to 3, from SS.DPL.
    uint32_t currentPrivilegeLevel;
    /// The decoder's mode and everything else a block depends on.
    uint32_t blockMode;

    uint64_t star, lstar, cstar, syscallMask, kernelGSBase;
    uint64_t sysenterCS, sysenterESP, sysenterEIP;
    uint64_t pat, tscAux, miscEnable, mtrrDefaultType;
    uint64_t fixedMTRR[11];
    uint64_t variableMTRR[16];
    /// Guest TSC = host TSC scaled + offset; see the Clocks room.
    uint64_t tscOffset;
    uint64_t tscAdjust;

    /// Vector registers, and bits 128 to 255 of YMM.
    Vector128 xmm[16];
    Vector128 upper[16];
    uint32_t mxcsr;
    /// x87: `st[i]` is physical register i, not ST(i).
    uint16_t x87Control;
    uint16_t x87Status;
    /// Tag word as in FXSAVE: bit i set when physical register i is not empty.
    uint8_t x87Tags;
    /// The guest's x87 state is in the host's FPU: `x87Status`, `x87Tags` and `st` are out of date.
    uint8_t x87Resident;
    uint16_t x87Opcode;
    uint64_t x87InstructionPointer;
    uint64_t x87DataPointer;
    uint16_t x87InstructionSelector;
    uint16_t x87DataSelector;
    /// The host's own MXCSR while guest code runs with the guest's.
    uint32_t hostMXCSR;
    X87Register st[8];

    /// Register forms of x87 when the guest's state cannot be in the host's FPU.
    InstructionHandler _Nullable x87Exact;
    /// The handler of headers that are neither counted nor translated.
    InstructionHandler _Nullable blockHeader;
    /// By `cengine_integer_code`: what goes on where the TLB does not answer.
    const InstructionHandler _Nonnull *_Nullable slowIntegers;

    /// Of the instruction that runs.
    CoreFrame core;

    /// Data of an access that needed the slow path.
    Vector128 scratch[8];
    /// Values of MMIO and port reads the machine has answered for the instruction that is run again.
    uint64_t replayValues[MMIO_REPLAY_COUNT];
    uint32_t replayCount;
    uint32_t replayCursor;

    /// Counts changes from one generation of decoded blocks to the next: no instruction seen before one
    /// is used after it.
    uint64_t codeGeneration;
    uint64_t tlbMisses;
    uint64_t blockLookups;
    /// `budget` at the last PAUSE.
    int64_t pauseMark;
    /// PAUSEs of the loop so far.
    uint32_t pauseCount;
    /// PAUSEs since the loop last left that were not near the one before. The first always is not.
    uint32_t pauseBreaks;
    /// Between its last two exits the loop did nothing else.
    uint32_t keptSpinning;
    /// How many leave the engine; 0: none do.
    uint32_t pauseLimit;
    /// Instructions that may lie between two.
    int64_t pauseWindow;
    /// The Swift object with everything that is not hot: `Unmanaged` pointer to EngineContext.
    void *_Nullable context;

    /// The first headers of the chains of blocks in the generation that the engine runs.
    DecodedInstruction *_Nullable *_Nullable blockChains;
    /// Where its code memory begins, and where translated code goes on with a block that has no
    /// translation; 0: nothing is translated.
    uint64_t codeMemory;
    uint64_t interpretingCode;
    /// Some page has an execution breakpoint.
    uint32_t hasExecutionBreakpoints;
    uint32_t reserved1;
    /// Page numbers modulo 64 among which are those of `PatchedPages`.
    uint64_t patchedPlaces;
    FetchEntry fetch[FETCH_ENTRY_COUNT];
    /// Direct mapped, and behind that the victims, in the same order.
    TLBEntry tlb[TLB_ENTRY_COUNT + TLB_VICTIM_COUNT];
    JumpCacheEntry jumpCache[JUMP_CACHE_ENTRY_COUNT];
    /// How often each instruction form left translated code; null: nobody counts. See `FormCounts`.
    uint64_t *_Nullable formCounts;
} CPUState;

/// The block of 64-bit code at `rip`, if all of it is known: what `lookUpBlock` in Jump.swift does as long
/// as it needs nothing but this state. It is in the jump cache then. NULL: not known here.
const DecodedInstruction *_Nullable cengine_known_block(CPUState *_Nonnull cpu);

/// The block that starts at `physical` in `mode`, if this generation has it. Without its lock: a block
/// that is dropped meanwhile says so itself.
DecodedInstruction *_Nullable cengine_find_block(
    DecodedInstruction *_Nullable *_Nonnull chains, uint64_t physical, uint32_t mode);

/// Lets jumps to `linear` find the block; what was there moves to the entry beside.
void cengine_enter_jump_cache(
    CPUState *_Nonnull cpu, uint64_t linear, const DecodedInstruction *_Nonnull header);

/// Jump cache entries of one page are neighbours, so that INVLPG finds them; the hash is one that
/// translated code computes in few instructions.
static inline uint64_t cengine_jump_cache_place(uint64_t linear) {
    return (linear >> 4 ^ (linear & 0xff)) & (JUMP_CACHE_ENTRY_COUNT - 1);
}

/// The chain of the blocks that start at this physical address.
static inline uint64_t cengine_chain(uint64_t physical) {
    uint64_t hash = (physical >> 12) * 0x9e3779b97f4a7c15ull;
    return ((hash >> 40) + (physical >> 6 & 63)) & (BLOCK_CHAIN_COUNT - 1);
}

/// What memory operands are made of is within reach of `DecodedInstruction.base`.
_Static_assert(__builtin_offsetof(CPUState, legacyBase) % 8 == 0, "counted in eight bytes");
_Static_assert(__builtin_offsetof(CPUState, legacyBase[5]) / 8 <= UINT8_MAX, "one byte");
_Static_assert(__builtin_offsetof(CPUState, segments[5].base) / 8 <= UINT8_MAX, "one byte");

/// Of a conditional branch, which has no memory operand: base, index, segmentBase and scaleShift are one
/// word. See `EngineAtomics.h`.
enum { DECODED_OFFSET_FALL_THROUGH = __builtin_offsetof(DecodedInstruction, base) };
_Static_assert(DECODED_OFFSET_FALL_THROUGH % 4 == 0, "one aligned word");

/// Bytes from the start of the linear page to the first byte of the instruction.
static inline uint16_t cengine_page_offset(const DecodedInstruction *_Nonnull instruction) {
    return instruction->place & 0xfff;
}

/// Offsets that Swift needs as compile-time constants.
enum {
    CPU_OFFSET_ZERO = __builtin_offsetof(CPUState, zero),
    CPU_OFFSET_CODE_PAGE = __builtin_offsetof(CPUState, codePage),
    CPU_OFFSET_STATUS_FLAGS = __builtin_offsetof(CPUState, statusFlags),
    CPU_OFFSET_PENDING_MASK = __builtin_offsetof(CPUState, pendingMask),
    CPU_OFFSET_BUDGET = __builtin_offsetof(CPUState, budget),
    CPU_OFFSET_BLOCK = __builtin_offsetof(CPUState, block),
    CPU_OFFSET_PENDING_WORD = __builtin_offsetof(CPUState, pendingWord),
    CPU_OFFSET_VECTORS_RESIDENT = __builtin_offsetof(CPUState, vectorsResident),
    CPU_OFFSET_RIP = __builtin_offsetof(CPUState, rip),
    CPU_OFFSET_MXCSR = __builtin_offsetof(CPUState, mxcsr),
    CPU_OFFSET_X87_RESIDENT = __builtin_offsetof(CPUState, x87Resident),
    CPU_OFFSET_X87_OPCODE = __builtin_offsetof(CPUState, x87Opcode),
    CPU_OFFSET_X87_INSTRUCTION_POINTER = __builtin_offsetof(CPUState, x87InstructionPointer),
    CPU_OFFSET_X87_INSTRUCTION_SELECTOR = __builtin_offsetof(CPUState, x87InstructionSelector),
    CPU_OFFSET_X87_DATA_POINTER = __builtin_offsetof(CPUState, x87DataPointer),
    CPU_OFFSET_X87_DATA_SELECTOR = __builtin_offsetof(CPUState, x87DataSelector),
    CPU_OFFSET_TLB_CONTEXT = __builtin_offsetof(CPUState, tlbContext),
    CPU_OFFSET_JUMP_CONTEXT = __builtin_offsetof(CPUState, jumpContext),
    CPU_OFFSET_LEGACY_BASE = __builtin_offsetof(CPUState, legacyBase),
    CPU_OFFSET_PDPTE = __builtin_offsetof(CPUState, pdpte),
    CPU_OFFSET_SEGMENTS = __builtin_offsetof(CPUState, segments),
    CPU_OFFSET_DR = __builtin_offsetof(CPUState, dr),
    CPU_OFFSET_XMM = __builtin_offsetof(CPUState, xmm),
    CPU_OFFSET_UPPER = __builtin_offsetof(CPUState, upper),
    CPU_OFFSET_CORE = __builtin_offsetof(CPUState, core),
    CPU_OFFSET_CORE_MEMORY = __builtin_offsetof(CPUState, core.memory),
    CPU_OFFSET_ST = __builtin_offsetof(CPUState, st),
    CPU_OFFSET_SCRATCH = __builtin_offsetof(CPUState, scratch),
    CPU_OFFSET_REPLAY_VALUES = __builtin_offsetof(CPUState, replayValues),
    CPU_OFFSET_FORM_COUNTS = __builtin_offsetof(CPUState, formCounts),
    CPU_OFFSET_FETCH = __builtin_offsetof(CPUState, fetch),
    CPU_OFFSET_TLB = __builtin_offsetof(CPUState, tlb),
    CPU_OFFSET_JUMP_CACHE = __builtin_offsetof(CPUState, jumpCache),
};

#endif
