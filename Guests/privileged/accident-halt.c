// HLT with interrupts off: nothing can wake the guest.
#include "guest.h"

int main(void) {
    asm volatile("mov $0x7e57, %%eax; cli; hlt" : : : "eax");
    return 0;
}
