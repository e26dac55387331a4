// 4-level paging (SDM volume 3, chapter 4): rights, error codes, A and D, reserved bits, large
// pages, SMEP, SMAP, NX, WP, PCID, INVPCID, INVLPG, canonical addresses.
#include "guest.h"

extern u64 pml4[512], pdpt[512], pd[512];
static u64 pd_t[512] __attribute__((aligned(4096)));
static u64 pt_t[512] __attribute__((aligned(4096)));
static u8 pages[4][4096] __attribute__((aligned(4096)));

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX (1ull << 63)
#define BASE 0x80000000ul
#define PF(error) EXCEPTION(14, error)

CODE_PIECE(load, AT(load) "mov (%rdi), %rax");
CODE_PIECE(save, AT(save) "mov %rdi, (%rdi)");
CODE_PIECE(go, AT(go) "jmp *%rdi");
CODE_PIECE(load_ac, "stac\n" AT(load_ac) "mov (%rdi), %rax");
CODE_PIECE(save_ac, "stac\n" AT(save_ac) "mov %rdi, (%rdi)");
CODE_PIECE(load_clac, "stac\n clac\n" AT(load_clac) "mov (%rdi), %rax");
CODE_PIECE(modify, AT(modify) "lock incl (%rdi)");
CODE_PIECE(take_fs, AT(take_fs) "mov %edi, %fs");

static void map(int slot, u64 entry) {
    pt_t[slot] = entry;
    invlpg((void *)(BASE + 4096ul * slot));
}
static void *at(int slot) { return (void *)(BASE + 4096ul * slot); }
static u64 physical(void *p) { return (u64)(word)p; }
static void flush(void) { set_cr4(get_cr4() ^ 0x80); set_cr4(get_cr4() ^ 0x80); }

static void rights(void) {
    u64 a = physical(pages[0]);
    pages[0][0] = 0xcd; // int $0x30, to be executed
    pages[0][1] = 0x30;
    map(0, 0);
    check("absent read", attempted(load, at(0)), PF(0));
    check("absent CR2", trap_cr2, BASE);
    check("absent RIP", trap.rip, (word)load_at);
    check("fault pushes RF", trap.rflags >> 16 & 1, 1);
    check("absent write", attempted(save, at(0)), PF(2));
    check("absent execute", attempted(go, at(0)), PF(0x10));
    check("absent execute RIP", trap.rip, BASE);
    check("absent user read", as_user(load, at(0)), PF(4));
    check("absent user write", as_user(save, at(0)), PF(6));
    check("absent user execute", as_user(go, at(0)), PF(0x14));
    map(0, a | P);
    check("read-only read", attempted(load, at(0)), 0);
    check("read-only write", attempted(save, at(0)), PF(3));
    check("supervisor user read", as_user(load, at(0)), PF(5));
    check("supervisor user write", as_user(save, at(0)), PF(7));
    check("supervisor user execute", as_user(go, at(0)), PF(0x15));
    map(0, a | P | U);
    check("user read-only read", as_user(load, at(0)), 0);
    check("user read-only write", as_user(save, at(0)), PF(7));
    check("user read-only locked", as_user(modify, at(0)), PF(7));
    check("user execute", as_user(go, at(0)), 0);
    map(0, a | P | W | U | NX);
    check("NX execute", attempted(go, at(0)), PF(0x11));
    check("NX user execute", as_user(go, at(0)), PF(0x15));
    check("NX read", as_user(load, at(0)), 0);
    // Rights of each level count.
    pd_t[0] = physical(pt_t) | P | U;
    flush();
    map(0, a | P | W | U);
    check("PDE read-only", as_user(save, at(0)), PF(7));
    pd_t[0] = physical(pt_t) | P | W;
    flush();
    check("PDE supervisor", as_user(load, at(0)), PF(5));
    pd_t[0] = physical(pt_t) | P | W | U | NX;
    flush();
    check("PDE NX", as_user(go, at(0)), PF(0x15));
    pd_t[0] = physical(pt_t) | P | W | U;
    pdpt[2] = physical(pd_t) | P | U;
    flush();
    check("PDPTE read-only", as_user(save, at(0)), PF(7));
    pdpt[2] = physical(pd_t) | P | W | U;
    flush();
    check("all levels writable", as_user(save, at(0)), 0);
    // CR0.WP.
    map(0, a | P);
    set_cr0(get_cr0() & ~0x10000ul);
    check("WP clear: supervisor writes", attempted(save, at(0)), 0);
    check("WP clear: D is set", pt_t[0] & (A | D), A | D);
    check("WP clear: user does not", as_user(save, at(0)), PF(7));
    set_cr0(get_cr0() | 0x10000);
    check("WP set again", attempted(save, at(0)), PF(3));
    // A fault with NXE clear has no I/D bit, and bit 63 is reserved.
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
    map(1, 0);
    check("NXE clear: no I/D", attempted(go, at(1)), PF(0));
    map(1, a | P | NX);
    check("NXE clear: bit 63 reserved", attempted(load, at(1)), PF(9));
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
    // An access over two pages faults on the second, and nothing is written.
    map(0, a | P | W);
    map(1, 0);
    *(volatile u32 *)(pages[0] + 4092) = 0x11111111;
    check("second page", attempted(save, (u8 *)at(0) + 4092), PF(2));
    check("second page CR2", trap_cr2, BASE + 4096);
    check("second page: first is unchanged", *(u32 *)(pages[0] + 4092), 0x11111111);
    check("locked over pages", attempted(modify, (u8 *)at(0) + 4094), PF(2));
}

static void accessed_dirty(void) {
    u64 a = physical(pages[1]);
    pml4[0] &= ~(u64)A;
    pdpt[2] = physical(pd_t) | P | W | U;
    pd_t[0] = physical(pt_t) | P | W | U;
    flush();
    map(2, a | P | W | U);
    attempted(load, at(2));
    check("A by read", pt_t[2] & (A | D), A);
    check("A of PDE", pd_t[0] & (A | D), A);
    check("A of PDPTE", pdpt[2] & A, A);
    check("A of PML4E", pml4[0] & A, A);
    attempted(save, at(2));
    check("D by write after read", pt_t[2] & (A | D), A | D);
    map(2, a | P | W | U);
    attempted(save, at(2));
    check("A and D by write", pt_t[2] & (A | D), A | D);
    map(2, a | P | U);
    as_user(save, at(2));
    check("no D by a write that faults", pt_t[2] & D, 0);
    map(2, a | P | W | U);
    pages[1][0] = 0xcd;
    pages[1][1] = 0x30;
    attempted(go, at(2));
    check("A by execution", pt_t[2] & (A | D), A);
    map(2, a | P | W | U | A);
    attempted(load, at(2));
    pt_t[2] = a | P | W | U | A; // D clear: a write after a read sets it
    invlpg(at(2));
    attempted(load, at(2));
    attempted(modify, at(2));
    check("D by locked write", pt_t[2] & D, D);
}

static void reserved(void) {
    u64 a = physical(pages[0]);
    map(3, a | P | W | U | 1ull << 51);
    check("PTE address bit reserved", attempted(load, at(3)), PF(9));
    check("reserved user write", as_user(save, at(3)), PF(0xf));
    map(3, a | P | W | U | 0x7full << 52);
    check("PTE bits 58:52 are free", attempted(load, at(3)), 0);
    map(3, a | 1ull << 51);
    check("not present comes first", attempted(load, at(3)), PF(0));
    pd_t[1] = 1ull << 13 | P | W | PS;
    flush();
    check("2 MiB page bit 13 reserved", attempted(load, (void *)(BASE + 0x200000)), PF(9));
    pd_t[1] = P | W | PS | 1ull << 12;
    flush();
    check("2 MiB page bit 12 is PAT", attempted(load, (void *)(BASE + 0x200000)), 0);
    pdpt[3] = 1ull << 29 | P | W | PS;
    flush();
    check("1 GiB page bit 29 reserved", attempted(load, (void *)0xc0000000), PF(9));
    pml4[1] = physical(pdpt) | P | W | PS;
    flush();
    check("PML4E PS reserved", attempted(load, (void *)(1ul << 39)), PF(9));
    pml4[1] = 0;
}

static void large(void) {
    volatile u64 *word_a = (u64 *)pages[0];
    *word_a = 0x1234567812345678;
    pd_t[1] = (physical(pages[0]) & ~0x1fffffull) | P | W | U | PS;
    flush();
    word offset = physical(pages[0]) & 0x1fffff;
    check("2 MiB page", *(volatile u64 *)(BASE + 0x200000 + offset), 0x1234567812345678);
    check("2 MiB A", pd_t[1] & (A | D), A);
    *(volatile u64 *)(BASE + 0x200000 + offset) = 5;
    check("2 MiB D", pd_t[1] & (A | D), A | D);
    check("2 MiB write", *word_a, 5);
    if (cpuid(0x80000001, 0).d >> 26 & 1) {
        pdpt[3] = P | W | U | PS;
        flush();
        check("1 GiB page", *(volatile u64 *)(0xc0000000 + physical(pages[0])), 5);
        *(volatile u64 *)(0xc0000000 + physical(pages[0])) = 6;
        check("1 GiB write", *word_a, 6);
        check("1 GiB A D", pdpt[3] & (A | D), A | D);
        pdpt[3] = 0;
        invlpg((void *)0xc0000000);
        check("1 GiB page gone by INVLPG", attempted(load, (void *)(0xc0000000 + physical(pages[0]))), PF(0));
    }
    // INVLPG of any address in a large page drops all of it.
    (void)*(volatile u64 *)(BASE + 0x200000);
    (void)*(volatile u64 *)(BASE + 0x3ff000);
    pd_t[1] = 0;
    invlpg((void *)(BASE + 0x2a0000));
    check("INVLPG of a large page", attempted(load, (void *)(BASE + 0x200000)), PF(0));
    check("INVLPG of a large page, end", attempted(load, (void *)(BASE + 0x3ff000)), PF(0));
    // A page table in the place of a large page and back.
    pd_t[1] = P | W | PS;
    invlpg((void *)(BASE + 0x200000));
    (void)*(volatile u64 *)(BASE + 0x200000);
    pd_t[1] = physical(pt_t) | P | W;
    map(0, physical(pages[0]) | P | W);
    invlpg((void *)(BASE + 0x200000));
    check("large page split", *(volatile u64 *)(BASE + 0x200000), 6);
}

static void smep_smap(void) {
    u64 a = physical(pages[0]);
    pages[0][0] = 0xcd;
    pages[0][1] = 0x30;
    map(0, a | P | W | U);
    check("supervisor executes user page", attempted(go, at(0)), 0);
    set_cr4(get_cr4() | 1 << 20);
    check("SMEP", attempted(go, at(0)), PF(0x11));
    check("SMEP: user executes", as_user(go, at(0)), 0);
    map(0, a | P | W);
    check("SMEP: supervisor page", attempted(go, at(0)), 0);
    // SMEP makes I/D appear even with NXE clear.
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
    map(1, 0);
    check("SMEP, NXE clear: I/D", attempted(go, at(1)), PF(0x10));
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
    set_cr4(get_cr4() & ~(1ul << 20));
    map(0, a | P | W | U);
    set_cr4(get_cr4() | 1 << 21);
    check("SMAP read", attempted(load, at(0)), PF(1));
    check("SMAP write", attempted(save, at(0)), PF(3));
    check("SMAP read, AC", attempted(load_ac, at(0)), 0);
    check("SMAP write, AC", attempted(save_ac, at(0)), 0);
    check("SMAP after CLAC", attempted(load_clac, at(0)), PF(1));
    check("SMAP user read", as_user(load, at(0)), 0);
    map(0, a | P | U);
    set_cr0(get_cr0() & ~0x10000ul);
    check("SMAP with WP clear", attempted(save, at(0)), PF(3));
    set_cr0(get_cr0() | 0x10000);
    user_flags = 2 | 1 << 18;
    // An implicit supervisor access from ring 3, AC set: SMAP counts all the same.
    map(0, a | P | W | U);
    *(u64 *)pages[0] = descriptor(0, 0xfffff, FLAT_DATA | DPL(3));
    gdt[FREE / 8] = descriptor((u32)BASE, 0xfff, 0x8200);
    gdt[FREE / 8 + 1] = 0;
    load_ldt(FREE);
    check("SMAP implicit access", as_user(take_fs, (void *)7), PF(1));
    set_cr4(get_cr4() & ~(1ul << 21));
    check("implicit access without SMAP", as_user(take_fs, (void *)7), 0);
    load_ldt(0);
    user_flags = 2;
    CODE_PIECE(stac_piece, AT(stac_piece) "stac");
    check("STAC in ring 3", as_user(stac_piece, 0), EXCEPTION(6, 0));
}

static void global_and_pcid(void) {
    u64 a = physical(pages[0]), b = physical(pages[1]);
    *(u64 *)pages[0] = 'a';
    *(u64 *)pages[1] = 'b';
    volatile u64 *word_0 = at(0);
    map(0, a | P | W);
    check("mapped a", *word_0, 'a');
    pt_t[0] = b | P | W;
    set_cr3(get_cr3());
    check("MOV to CR3 flushes", *word_0, 'b');
    set_cr4(get_cr4() | 0x80);
    map(0, a | P | W | G);
    check("global a", *word_0, 'a');
    pt_t[0] = b | P | W | G;
    invlpg(at(0));
    check("INVLPG drops a global page", *word_0, 'b');
    pt_t[0] = a | P | W | G;
    set_cr4(get_cr4() & ~0x80ul);
    check("CR4.PGE change drops global pages", *word_0, 'a');
    // Present after not present needs no flush; nor does more rights with a fault at most once.
    map(0, 0);
    attempted(load, at(0));
    pt_t[0] = a | P | W;
    check("present without a flush", attempted(load, at(0)), 0);
    if (!(cpuid(1, 0).c >> 17 & 1)) return;
    static u64 other_pml4[512] __attribute__((aligned(4096)));
    static u64 other_pdpt[512] __attribute__((aligned(4096)));
    static u64 other_pd[512] __attribute__((aligned(4096)));
    static u64 other_pt[512] __attribute__((aligned(4096)));
    other_pml4[0] = physical(other_pdpt) | P | W | U;
    other_pdpt[0] = pdpt[0];
    other_pdpt[1] = pdpt[1];
    other_pdpt[2] = physical(other_pd) | P | W | U;
    other_pd[0] = physical(other_pt) | P | W | U;
    other_pt[0] = b | P | W | U;
    word first = (word)pml4, second = (word)other_pml4 | 1;
    CODE_PIECE(set_pcide, "mov %cr4, %rax\n bts $17, %rax\n" AT(set_pcide) "mov %rax, %cr4");
    CODE_PIECE(clear_pg, "mov %cr0, %rax\n btr $31, %rax\n" AT(clear_pg) "mov %rax, %cr0");
    set_cr3(first | 0x18); // PCD and PWT are bits of a PCID
    check("PCIDE with CR3 11:0 not 0", attempted(set_pcide, 0), EXCEPTION(13, 0));
    set_cr3(first);
    check("PCIDE", attempted(set_pcide, 0), 0);
    check("paging off with PCIDE", attempted(clear_pg, 0), EXCEPTION(13, 0));
    map(0, a | P | W);
    check("PCID 0", *word_0, 'a');
    set_cr3(second);
    check("PCID 1", *word_0, 'b');
    check("CR3 reads back with its PCID", get_cr3(), second);
    set_cr3(first | 1ul << 63);
    check("PCID 0 kept", *word_0, 'a');
    check("CR3 bit 63 reads 0", get_cr3(), first);
    other_pt[0] = a | P | W | U;
    set_cr3(second);
    check("PCID 1 without bit 63 is flushed", *word_0, 'a');
    set_cr3(first | 1ul << 63);
    // INVPCID: 0 an address, 1 a PCID, 2 everything, 3 everything but global pages.
    if (cpuid(7, 0).b >> 10 & 1) {
        struct { u64 pcid, address; } d = {0, BASE};
#define INVPCID(type) asm volatile("invpcid %0, %1" : : "m"(d), "r"((word)(type)) : "memory")
        for (int type = 0; type < 4; type++) {
            (void)*word_0;
            pt_t[0] = (type & 1 ? a : b) | P | W;
            INVPCID(type);
            check(type == 0 ? "INVPCID 0" : type == 1 ? "INVPCID 1" : type == 2 ? "INVPCID 2" : "INVPCID 3",
                *word_0, type & 1 ? 'a' : 'b');
        }
        set_cr3(second);
        (void)*word_0;
        set_cr3(first | 1ul << 63);
        other_pt[0] = b | P | W | U;
        d.pcid = 1;
        INVPCID(0);
        set_cr3(second | 1ul << 63);
        check("INVPCID 0 of another PCID", *word_0, 'b');
        set_cr3(first | 1ul << 63);
        other_pt[0] = a | P | W | U;
        INVPCID(1);
        set_cr3(second | 1ul << 63);
        check("INVPCID 1 of another PCID", *word_0, 'a');
        set_cr3(first | 1ul << 63);
        pt_t[0] = a | P | W | G;
        set_cr4(get_cr4() | 0x80);
        (void)*word_0;
        pt_t[0] = b | P | W | G;
        INVPCID(2);
        check("INVPCID 2 drops global pages", *word_0, 'b');
        set_cr4(get_cr4() & ~0x80ul);
        CODE_PIECE(invpcid_4, "mov $4, %eax\n" AT(invpcid_4) "invpcid (%rdi), %rax");
        CODE_PIECE(invpcid_0, "mov $0, %eax\n" AT(invpcid_0) "invpcid (%rdi), %rax");
        CODE_PIECE(invpcid_1, "mov $1, %eax\n" AT(invpcid_1) "invpcid (%rdi), %rax");
        check("INVPCID type 4", attempted(invpcid_4, &d), EXCEPTION(13, 0));
        d.pcid = 0x1000;
        check("INVPCID reserved bits", attempted(invpcid_1, &d), EXCEPTION(13, 0));
        d.pcid = 1;
        d.address = 1ul << 48;
        check("INVPCID address not canonical", attempted(invpcid_0, &d), EXCEPTION(13, 0));
        d.address = BASE;
        check("INVPCID in ring 3", as_user(invpcid_0, AS_USER(&d)), EXCEPTION(13, 0));
        set_cr4(get_cr4() & ~(1ul << 17));
        check("INVPCID 0, PCID 1 without PCIDE", attempted(invpcid_0, &d), EXCEPTION(13, 0));
    }
    set_cr4(get_cr4() & ~(1ul << 17));
    set_cr3(first);
}

static void canonical(void) {
    CODE_PIECE(load_stack, "mov %rsp, %rsi\n mov %rdi, %rsp\n" AT(load_stack) "pop %rax");
    CODE_PIECE(load_rbp, "mov %rdi, %rbp\n" AT(load_rbp) "mov (%rbp), %rax");
    CODE_PIECE(push_rsp, "mov %rsp, %rsi\n mov %rdi, %rsp\n" AT(push_rsp) "push %rax");
    CODE_PIECE(ret_to, "push %rdi\n" AT(ret_to) "ret");
    CODE_PIECE(call_to, AT(call_to) "call *%rdi");
    CODE_PIECE(invlpg_to, AT(invlpg_to) "invlpg (%rdi)");
    void *hole = (void *)(1ul << 47);
    check("not canonical read", attempted(load, hole), EXCEPTION(13, 0));
    check("not canonical stack", attempted(load_rbp, hole), EXCEPTION(12, 0));
    check("last canonical byte is not mapped", attempted(load, (void *)((1ul << 47) - 8)), PF(0));
    check("first canonical byte of the upper half", attempted(load, (void *)(-1ul << 47)), PF(0));
    check_trap("jump to the hole", (user_argument = (word)hole, attempt(go)), 13, 0, go_at);
    check_trap("call to the hole", attempt(call_to), 13, 0, call_to_at);
    check_trap("return to the hole", attempt(ret_to), 13, 0, ret_to_at);
    check("INVLPG in the hole is no fault", attempted(invlpg_to, hole), 0);
    user_argument = (word)hole;
    check("pop in the hole", (u64)user(load_stack), 12);
    user_argument += 0x1000;
    check("push in the hole", (u64)user(push_rsp), 12);
}

int main(void) {
    pdpt[2] = physical(pd_t) | P | W | U;
    pd_t[0] = physical(pt_t) | P | W | U;
    rights();
    accessed_dirty();
    reserved();
    large();
    smep_smap();
    global_and_pcid();
    canonical();
    return 0;
}
