#include "CEngine.h"

const DecodedInstruction *cengine_return(CPUState *cpu, const DecodedInstruction *instruction) {
    (void)cpu;
    return instruction;
}

const DecodedInstruction *cengine_run(CPUState *cpu, const DecodedInstruction *instruction,
                                      InstructionHandler handler) {
    return handler(cpu, instruction);
}
