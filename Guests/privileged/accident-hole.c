// A jump to where there is no memory: the test gives the guest 256 MiB, and 1 GiB is mapped.
#include "guest.h"

int main(void) {
    asm volatile("mov $0x7e57, %%eax; mov $0x30000000, %%ecx; jmp *%%rcx" : : : "eax", "ecx");
    return 0;
}
