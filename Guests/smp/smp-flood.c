// A guest that behaves badly for ever, `mode=`: 0 sends every kind of interrupt to everybody, also to
// processors that are not there; 1 has an interrupt that asks for itself again before it ends;
// 2 spins on all processors with interrupts off.
#include "smp.h"

static void again(struct frame *f) { send(0, FIXED | SELF | 0x70); }

static void flood(u32 n) {
    u32 random = n + 1;
    for (;;) {
        random = random * 1664525 + 1013904223;
        u32 other = (n + 1 + (random >> 24) % (cpus - 1)) % cpus;
        switch (random >> 16 & 7) {
        case 0: send(200 + (random >> 28), FIXED | 0x80); break;
        case 1: send(cpus + 3, NMI); break;
        case 2: send(0, FIXED | OTHERS | 0x81); break;
        case 3: send(0, FIXED | ALL | 0x82); break;
        case 4: send(other, NMI); break;
        case 5: send(0xff, LOWEST | LOGICAL | 0x83); break;
        case 6: send(other, FIXED | 3); break;
        default: send(other, STARTUP | TRAMPOLINE >> 12); break;
        }
    }
}

static void storm(u32 n) {
    send(0, FIXED | SELF | 0x70);
    for (;;) relax();
}

static void spin(u32 n) {
    cli();
    for (;;) asm volatile("");
}

int main(void) {
    check("processors", (u64)start_processors(), 1);
    hooks[0x70] = again;
    u32 mode = (u32)parameter("mode", 0);
    print("bad now\n");
    run_on(cpus, mode == 0 ? flood : mode == 1 ? storm : spin);
    return 0;
}
