// Looking blocks up where nothing has to be made and nobody has to be asked: most of the times when a
// process has just begun, whose jump targets are new while their blocks are not.

#include "CEngine.h"

#pragma clang assume_nonnull begin

DecodedInstruction *_Nullable cengine_find_block(
    DecodedInstruction *_Nullable *chains, uint64_t physical, uint32_t mode) {
    DecodedInstruction *header = cengine_follow(&chains[cengine_chain(physical)]);
    while (header
           && (cengine_block_physical(header) != physical || cengine_block_mode(header) != mode)) {
        header = cengine_follow(cengine_link(header));
    }
    return header;
}

void cengine_enter_jump_cache(
    CPUState *cpu, uint64_t linear, const DecodedInstruction *header) {
    uint64_t place = cengine_jump_cache_place(linear);
    JumpCacheEntry *entry = &cpu->jumpCache[place];
    cpu->jumpCache[place ^ 1] = *entry;
    entry->address = linear;
    entry->context = cpu->jumpContext[linear >> 63];
    entry->instruction = header;
    if (cpu->codeMemory == 0) return;
    uint32_t translation = cengine_translation(header);
    entry->code = translation == 0 ? cpu->interpretingCode : cpu->codeMemory + translation;
}

const DecodedInstruction *_Nullable cengine_known_block(CPUState *cpu) {
    uint64_t linear = cpu->rip;
    if (cpu->stepping != 0 || cpu->hasExecutionBreakpoints != 0) return NULL;
    uint64_t tag = (linear & ~0xfffull) | (cpu->tlbContext[linear >> 63] & ~1ull);
    const FetchEntry *fetch = &cpu->fetch[linear >> 12 & (FETCH_ENTRY_COUNT - 1)];
    if (fetch->tag != tag) return NULL;
    if (cpu->patchedPlaces >> (fetch->physical >> 12 & 63) & 1) return NULL;
    uint64_t physical = fetch->physical | (linear & 0xfff);
    DecodedInstruction *header = cengine_find_block(
        (DecodedInstruction *_Nullable *)cpu->blockChains, physical, cpu->blockMode);
    if (!header) return NULL;
    // All of the block that was running has run.
    cpu->block = NULL;
    cpu->blockLookups++;
    cpu->codePage = linear & ~0xfffull;
    cengine_enter_jump_cache(cpu, linear, header);
    return header;
}

#pragma clang assume_nonnull end
