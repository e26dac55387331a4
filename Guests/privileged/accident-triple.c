// A triple fault: an exception, and no table to find a handler in.
#include "guest.h"

int main(void) {
    struct table none = {0, 0};
    asm volatile("mov $0x7e57, %%eax; lidt %0; ud2" : : "m"(none) : "eax");
    return 0;
}
