// A guest that minds its own business: a dot for each unit of work, then the end.
#include "smp.h"

int main(void) {
    u64 units = parameter("units", 20), sum = 0;
    for (u64 unit = 0; unit < units; unit++) {
        for (u64 i = 0; i < 4000000; i++) asm volatile("add %1, %0" : "+r"(sum) : "r"(i));
        outb(0x3f8, '.');
    }
    print("\n");
    check("sum", sum, units * (4000000ull * 3999999 / 2));
    return 0;
}
