#include "CHost.h"

static _Thread_local uint64_t heldRanks;

uint64_t *chost_held_ranks(void) { return &heldRanks; }
