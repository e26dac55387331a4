// Memory: `memory copy` streams through 16 MiB by memcpy, `memory chase` follows a random chain
// through 8 MiB, one load after the other: caches and both levels of TLB.

#include "measure.h"

enum { copiedBytes = 16 << 20, chainLength = 8 << 20 >> 6, steps = 20000 };

/// One link in a cache line of its own.
typedef struct Link {
  struct Link *next;
  uint64_t seen;
  uint8_t rest[48];
} Link;

static uint8_t *from, *to;
static Link *place;
static uint64_t stepsDone;

static void *allocate(size_t byteCount) {
  void *memory = aligned_alloc(4096, byteCount);
  require(memory != NULL, "memory for the test");
  return memory;
}

static void copyWork(uint64_t count) {
  while (count-- > 0) {
    memcpy(to, from, copiedBytes);
    keep(to);
  }
}

static void copy(char **arguments) {
  (void)arguments;
  from = allocate(copiedBytes);
  to = allocate(copiedBytes);
  for (size_t index = 0; index < copiedBytes; index++) from[index] = (uint8_t)(index * 7 >> 3);
  memset(to, 0, copiedBytes);
  double each = nanosecondsEach(copyWork);
  require(memcmp(from, to, copiedBytes) == 0, "the copy");
  report("memory-copy", copiedBytes * 1e3 / each, "MB/s");
}

static void chaseWork(uint64_t count) {
  stepsDone += count * steps;
  Link *link = place;
  for (uint64_t left = count * steps; left > 0; left--) link = link->next;
  place = link;
}

static void chase(char **arguments) {
  (void)arguments;
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
  place = &links[order[0]];
  double each = nanosecondsEach(chaseWork);
  require(place == &links[order[stepsDone % chainLength]], "the end of the chain");
  report("memory-chase", each / steps, "ns");
}

int main(int count, char **arguments) {
  (void)count;
  const Part parts[] = {{"copy", copy}, {"chase", chase}};
  return runPart(parts, 2, arguments);
}
