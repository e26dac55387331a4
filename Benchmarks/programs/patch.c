// Code that changes itself: another number in `mov $number, %eax; ret`, and a call, each time.

#include "measure.h"
#include <sys/mman.h>

static uint8_t *code;

static void work(uint64_t count) {
  while (count-- > 0) {
    uint32_t number = (uint32_t)count * 2654435761u;
    memcpy(code + 1, &number, sizeof number);
    keep(code);
    require(((uint32_t(*)(void))code)() == number, "the new number");
  }
}

int main(void) {
  code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(code != MAP_FAILED, "memory to write and execute");
  code[0] = 0xb8;
  code[5] = 0xc3;
  report("code-patch", nanosecondsEach(work), "ns");
  return 0;
}
