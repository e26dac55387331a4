// Memory: `memory copy` streams through 16 MiB by memcpy, `memory chase` follows a random chain
// through 8 MiB, one load after the other: caches and both levels of TLB.

#include "measure.h"
#include <string.h>

enum { copiedBytes = 16 << 20, copies = 24, chainLength = 8 << 20 >> 6, steps = 3000000 };

/// One link in a cache line of its own.
typedef struct Link {
  struct Link *next;
  uint64_t seen;
  uint8_t rest[48];
} Link;

static void *allocate(size_t byteCount) {
  void *memory = aligned_alloc(4096, byteCount);
  require(memory != NULL, "memory for the test");
  return memory;
}

static void copy(void) {
  uint8_t *from = allocate(copiedBytes), *to = allocate(copiedBytes);
  for (size_t index = 0; index < copiedBytes; index++) from[index] = (uint8_t)(index * 7 >> 3);
  memset(to, 0, copiedBytes);
  uint64_t start = nanoseconds();
  for (int round = 0; round < copies; round++) {
    memcpy(to, from, copiedBytes);
    keep(to);
  }
  uint64_t end = nanoseconds();
  require(memcmp(from, to, copiedBytes) == 0, "the copy");
  report("memory-copy", (double)copiedBytes * copies / 1e6 / ((double)(end - start) / 1e9), "MB/s");
}

static void chase(void) {
  Link *links = allocate(sizeof(Link) * chainLength);
  uint32_t *order = allocate(sizeof *order * chainLength);
  uint64_t state = 88172645463325252u;
  for (uint32_t index = 0; index < chainLength; index++) order[index] = index;
  for (uint32_t index = chainLength - 1; index > 0; index--) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    uint32_t other = (uint32_t)(state % (index + 1)), kept = order[index];
    order[index] = order[other];
    order[other] = kept;
  }
  for (uint32_t index = 0; index < chainLength; index++) {
    links[order[index]].next = &links[order[(index + 1) % chainLength]];
    links[order[index]].seen = 0;
  }
  Link *link = &links[order[0]];
  uint64_t start = nanoseconds();
  for (int step = 0; step < steps; step++) link = link->next;
  uint64_t end = nanoseconds();
  require(link == &links[order[steps % chainLength]], "the end of the chain");
  report("memory-chase", (double)(end - start) / steps, "ns");
}

int main(int count, char **arguments) {
  const char *what = count > 1 ? arguments[1] : "";
  if (strcmp(what, "copy") == 0) {
    copy();
  } else if (strcmp(what, "chase") == 0) {
    chase();
  } else {
    fprintf(stderr, "usage: memory copy|chase\n");
    return 2;
  }
  return 0;
}
