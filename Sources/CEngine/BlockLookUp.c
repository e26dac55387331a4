// Looking blocks up where nothing has to be made and nobody has to be asked: most of the times when a
// process has just begun, whose jump targets are new while their blocks are not.

#include "CEngine.h"

#pragma clang assume_nonnull begin

/// Where the block begins in physical memory: as `DecodedInstruction.physical` in DecodedBlocks.swift.
static uint64_t physical_start(const DecodedInstruction *header) {
    uint64_t page = (uint64_t)(header->place >> 12) << 32 | (uint32_t)header->displacement;
    return page << 12 | (header->place & 0xfff);
}

/// The block mode of a header.
static uint32_t mode(const DecodedInstruction *header) {
    return header->base | (uint32_t)(header->index & 0x7f) << 8;
}

/// Lets jumps to `linear` find the block; what was there moves to the entry beside: as `enterJumpCache`.
static void enter_jump_cache(CPUState *cpu, uint64_t linear, const DecodedInstruction *header) {
    uint64_t place = (linear >> 4 ^ (linear & 0xff)) & (JUMP_CACHE_ENTRY_COUNT - 1);
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
    DecodedInstruction *_Nullable *chains = (DecodedInstruction *_Nullable *)cpu->blockChains;
    DecodedInstruction *header = cengine_follow(&chains[cengine_chain(physical)]);
    while (header && (physical_start(header) != physical || mode(header) != cpu->blockMode)) {
        header = cengine_follow(cengine_link(header));
    }
    if (!header) return NULL;
    // All of the block that was running has run.
    cpu->block = NULL;
    cpu->blockLookups++;
    cpu->codePage = linear & ~0xfffull;
    enter_jump_cache(cpu, linear, header);
    return header;
}

#pragma clang assume_nonnull end
