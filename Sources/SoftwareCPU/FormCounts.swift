internal import CEngine
internal import VirtualCPU
internal import X86

/// How often each instruction form left one vCPU's translated code for the interpreter.
///
/// Translated code counts beside the call of the handler, each vCPU in counters of its own: no cache line
/// is shared, and nothing is counted where nothing is left. Owner: the vCPU's engine. Any thread reads
/// what was there a moment ago.
@safe
final class FormCounts: @unchecked Sendable {
    /// Why an instruction leaves translated code.
    enum Way: Int {
        /// Its form is not translated: the handler always runs.
        case handler
        /// It is, and could not finish: a TLB miss, a page with code, a device, a divisor of zero.
        case slowPath
    }

    /// Two counters for each form. Freed in deinit; the engine's translated code has the address.
    let counters: UnsafeMutablePointer<UInt64>

    init() {
        unsafe counters = .allocate(capacity: Form.count &* 2)
        unsafe counters.initialize(repeating: 0, count: Form.count &* 2)
    }

    deinit { unsafe counters.deallocate() }

    /// Bytes from the first counter to this one.
    static func offset(of form: Form, _ way: Way) -> Int32 {
        Int32(truncatingIfNeeded: Int(form.index) &* 16 &+ way.rawValue &* 8)
    }

    /// Adds the counters up.
    static func sum(_ counts: [FormCounts]) -> [FormExits] {
        Form.all.compactMap { form in
            var exits = FormExits(form: form.name)
            for count in counts {
                exits.handler &+= count.value(form, .handler)
                exits.slowPath &+= count.value(form, .slowPath)
            }
            return exits.count == 0 ? nil : exits
        }
    }

    private func value(_ form: Form, _ way: Way) -> UInt64 {
        let offset = Int(Self.offset(of: form, way))
        // SAFETY: forms number 0 to `Form.count` - 1.
        return unsafe cengine_load64(counters + offset / 8)
    }
}

extension BlockTranslation {
    /// The current instruction leaves here if `form` is counted. Clobbers R11 and the host's flags.
    mutating func countExit(_ instruction: Instruction?, _ way: FormCounts.Way) {
        guard observation.countsForms, let instruction else { return }
        assembler.load(.r11, HostLayout.field(Int(CPU_OFFSET_FORM_COUNTS)))
        // INC QWORD.
        assembler.instruction(
            HostOpcode(0xff, wide: true), register: 0,
            .memory(
                HostAddress(
                    base: .r11, displacement: FormCounts.offset(of: instruction.form, way))))
    }

    /// The instruction at `place`.
    func instruction(_ place: Place) -> Instruction? {
        let segment = segments[place.segment]
        let index = unsafe place.op - segment.header &- 1
        return index >= 0 && index < segment.count ? instructions[segment.first &+ index] : nil
    }
}
