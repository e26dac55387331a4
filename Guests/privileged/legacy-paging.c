// 32-bit paging with and without PSE, and PAE paging: rights, large pages, reserved bits, PDPTEs.
#include "guest.h"

#define PF(error) EXCEPTION(14, error)
#define GP(error) EXCEPTION(13, error)
enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
static u32 directory[1024] __attribute__((aligned(4096)));
static u32 table[1024] __attribute__((aligned(4096)));
static u64 pdpt[512] __attribute__((aligned(4096)));
static u64 pds[4][512] __attribute__((aligned(4096)));
static u64 pt[512] __attribute__((aligned(4096)));
static u8 pages[2][4096] __attribute__((aligned(4096)));
#define BASE 0x80000000u

CODE_PIECE(load, AT(load) "mov (%edi), %eax");
CODE_PIECE(save, AT(save) "mov %edi, (%edi)");
CODE_PIECE(go, AT(go) "jmp *%edi");
CODE_PIECE(to_cr3, AT(to_cr3) "mov %edi, %cr3");
CODE_PIECE(to_cr4, AT(to_cr4) "mov %edi, %cr4");
CODE_PIECE(to_cr0, AT(to_cr0) "mov %edi, %cr0");

static void *at(u32 slot) { return (void *)(BASE + 4096 * slot); }

static void legacy(void) {
    u32 a = (u32)pages[0], b = (u32)pages[1];
    *(u32 *)pages[0] = 0x30cd; // int $0x30
    *(u32 *)pages[1] = 0xbbbb;
    set_cr4(0x10); // PSE
    for (u32 i = 0; i < 16; i++) directory[i] = i << 22 | P | W | U | PS;
    directory[512] = (u32)table | P | W | U;
    set_cr3((word)directory);
    set_cr0(get_cr0() | 0x80010000);
    check("4 MiB page", *(volatile u32 *)pages[1], 0xbbbb);
    check("4 MiB A", directory[0] & A, A);
    table[0] = a | P | W | U;
    check("4 KiB page", *(volatile u32 *)at(0), 0x30cd);
    check("A", table[0] & (A | D), A);
    check("A of the PDE", directory[512] & A, A);
    *(volatile u32 *)at(0) = 0x30cd;
    check("D", table[0] & (A | D), A | D);
    check("absent read", attempted(load, at(1)), PF(0));
    check("absent read: CR2", trap_cr2, BASE + 4096);
    check("absent write", attempted(save, at(1)), PF(2));
    check("absent execute has no I/D bit", attempted(go, at(1)), PF(0));
    check("absent user write", as_user(save, at(1)), PF(6));
    table[1] = a | P;
    check("read-only write", attempted(save, at(1)), PF(3));
    check("supervisor page", as_user(load, at(1)), PF(5));
    set_cr0(get_cr0() & ~0x10000u);
    check("WP clear", attempted(save, at(1)), 0);
    set_cr0(get_cr0() | 0x10000);
    *(u32 *)pages[0] = 0x30cd;
    table[2] = a | P | U;
    check("user executes", as_user(go, at(2)), 0);
    check("user read-only", as_user(save, at(2)), PF(7));
    directory[512] &= ~W;
    set_cr3(get_cr3());
    check("PDE read-only", as_user(save, at(0)), PF(7));
    directory[512] |= W;
    directory[513] = P | W | U | PS | 1 << 21;
    set_cr3(get_cr3());
    check("4 MiB page, bit 21 reserved", attempted(load, (void *)(BASE + 0x400000)), PF(9));
    directory[513] = (a & 0xffc00000) | P | W | U | PS;
    invlpg((void *)(BASE + 0x400000));
    check("4 MiB page elsewhere", *(volatile u32 *)(BASE + 0x400000 + (b & 0x3fffff)), 0xbbbb);
    *(volatile u32 *)(BASE + 0x400000 + (b & 0x3fffff)) = 0xbbbb;
    check("4 MiB D", directory[513] & (A | D), A | D);
    // Addresses wrap at 4 GiB.
    directory[1023] = P | W | U | PS;
    // Without PSE bit 7 is not looked at.
    directory[513] = (u32)table | P | W | U | PS;
    directory[0] = directory[0];
    static u32 flat[16][1024] __attribute__((aligned(4096)));
    for (u32 i = 0; i < 16; i++) {
        for (u32 k = 0; k < 1024; k++) flat[i][k] = i << 22 | k << 12 | P | W | U;
        directory[i] = (u32)flat[i] | P | W | U;
    }
    set_cr3(get_cr3());
    set_cr4(0);
    check("no PSE: bit 7 of a PDE", *(volatile u32 *)(BASE + 0x400000), 0x30cd);
    // Stale entries: INVLPG and CR3.
    table[0] = b | P | W | U;
    invlpg(at(0));
    check("INVLPG", *(volatile u32 *)at(0), 0xbbbb);
    table[0] = a | P | W | U;
    set_cr3(get_cr3());
    check("MOV to CR3", *(volatile u32 *)at(0), 0x30cd);
    check("present without a flush", (attempted(load, at(5)), table[5] = a | P | W, *(volatile u32 *)at(5)), 0x30cd);
    check("CR4.PAE clear: CR3 has no reserved bits", attempted(to_cr3, (void *)((word)directory | 0x18)), 0);
    set_cr3((word)directory);
    set_cr0(get_cr0() & ~0x80000000u);
}

static void pae(void) {
    u32 a = (u32)pages[0], b = (u32)pages[1];
    for (u32 i = 0; i < 512; i++) pds[0][i] = i << 21 | P | W | U | PS;
    for (int i = 0; i < 4; i++) pdpt[i] = (u32)pds[i] | P;
    pds[2][0] = (u32)pt | P | W | U;
    set_cr4(0x20);
    set_cr3((word)pdpt);
    wrmsr(0xc0000080, 0x800); // NXE
    set_cr0(get_cr0() | 0x80010000);
    pt[0] = a | P | W | U;
    check("PAE 4 KiB page", *(volatile u32 *)at(0), 0x30cd);
    check("PAE A", pt[0] & (A | D), A);
    check("PAE absent", attempted(load, at(1)), PF(0));
    check("PAE absent execute, NXE", attempted(go, at(1)), PF(0x10));
    pt[1] = a | P | W | U | 1ull << 63;
    check("PAE NX", as_user(go, at(1)), PF(0x15));
    pt[2] = a | P | W | U | 1ull << 52;
    check("PAE bit 52 reserved", attempted(load, at(2)), PF(9));
    pt[3] = a | P | W | U | 1ull << 62;
    check("PAE bit 62 reserved", as_user(save, at(3)), PF(0xf));
    pds[2][1] = P | W | PS | 1 << 13;
    check("PAE 2 MiB bit 13 reserved", attempted(load, (void *)(BASE + 0x200000)), PF(9));
    pds[2][1] = (a & ~0x1fffffu) | P | W | PS;
    check("PAE 2 MiB page", *(volatile u32 *)(BASE + 0x200000 + (b & 0x1fffff)), 0xbbbb);
    // PDPTEs are registers: they change when CR3 is loaded.
    pdpt[2] = 0;
    check("PDPTE stays until CR3 is loaded", attempted(load, at(0)), 0);
    invlpg(at(0));
    check("INVLPG does not load PDPTEs", attempted(load, at(0)), 0);
    set_cr3(get_cr3());
    check("PDPTE not present", attempted(load, at(0)), PF(0));
    pdpt[2] = (u32)pds[2] | P | W;
    check("PDPTE with W: #GP at CR3", attempted(to_cr3, pdpt), GP(0));
    check("CR3 is as it was", get_cr3(), (word)pdpt);
    pdpt[2] = (u32)pds[2] | P | 1ull << 63;
    check("PDPTE with NX: #GP at CR3", attempted(to_cr3, pdpt), GP(0));
    pdpt[2] = (u32)pds[2] | 0x1e6; // not present: the rest is free
    check("PDPTE not present: anything goes", attempted(to_cr3, pdpt), 0);
    pdpt[2] = (u32)pds[2] | P | 0xe18; // PWT, PCD and what is ignored
    check("PDPTE with PWT, PCD and free bits", attempted(to_cr3, pdpt), 0);
    check("PDPTE back", attempted(load, at(0)), 0);
    check("CR3 at 32 bytes", ({ static u64 small[8] __attribute__((aligned(64)));
        for (int i = 0; i < 4; i++) small[4 + i] = pdpt[i];
        set_cr3((word)(small + 4)); u64 r = attempted(load, at(0)); set_cr3((word)pdpt); r; }), 0);
    // PAE off and on again loads them too, and may fail.
    set_cr0(get_cr0() & ~0x80000000u);
    pdpt[1] = P | W;
    check("paging on with a bad PDPTE", attempted(to_cr0, (void *)(get_cr0() | 0x80000000)), GP(0));
    check("paging stays off", get_cr0() >> 31, 0);
    pdpt[1] = (u32)pds[1] | P;
    check("paging on", attempted(to_cr0, (void *)(get_cr0() | 0x80000000)), 0);
    set_cr0(get_cr0() & ~0x80000000u);
    // LME without PAE, PCIDE outside IA-32e mode.
    set_cr4(0);
    wrmsr(0xc0000080, 0x900);
    check("paging on with LME and no PAE", attempted(to_cr0, (void *)(get_cr0() | 0x80000000)), GP(0));
    wrmsr(0xc0000080, 0);
    check("PCIDE outside IA-32e mode", attempted(to_cr4, (void *)0x20020), GP(0));
}

int main(void) {
    legacy();
    pae();
    return 0;
}
