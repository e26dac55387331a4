// How much faster two processors are than one: the same work on one, then on each of two at once.
#include "smp.h"

enum { WORDS = 4096 };
static u64 words[MOST][WORDS] __attribute__((aligned(4096)));
static struct barrier barrier __attribute__((aligned(64)));
static u32 workers;
static u64 passes;

static void work(u32 n) {
    u64 *w = words[n], sum = n;
    meet(&barrier, workers);
    for (u64 pass = 0; pass < passes; pass++)
        for (u32 i = 0; i < WORDS; i++) {
            sum = (sum ^ w[i]) * 6364136223846793005ull + 1442695040888963407ull;
            w[i] = sum >> 7;
        }
    w[0] = sum;
}

static u64 measure(u32 count) {
    workers = count;
    u64 start = rdtsc();
    run_on(count, work);
    return rdtsc() - start;
}

int main(void) {
    check("processors", (u64)start_processors(), 1);
    passes = parameter("passes", 2000);
    measure(1);
    for (u32 round = 0; round < 5; round++) {
        u64 one = measure(1), all = measure(cpus);
        print_count("processors ", cpus);
        print_count(" times the work of one, in hundredths: ", one * cpus * 100 / all);
        print_count(" kilocycles ", one / 1000);
        print_count(" and ", all / 1000);
        print("\n");
    }
    return 0;
}
