internal import CEngine
internal import X86

/// Stands in until the x87 half is there.
enum X87Availability { case available, deviceNotAvailable }
enum X87Lowering {
    static func lower(
        _ instruction: Instruction, into op: inout DecodedInstruction, availability: X87Availability
    ) -> Bool { false }
}
