// What the kernel does for a program: `kernel call` asks for a number, `kernel fault` touches fresh
// pages, `kernel shootdown` changes a page's rights while a thread of the same memory computes on
// another processor if there is one, `kernel filter` has a socket filter translated and run.

#include "measure.h"
#include <linux/filter.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { pageBytes = 4096, touchedPages = 1024 };

// MARK: System call

static void callWork(uint64_t count) {
  pid_t parent = getppid();
  while (count-- > 0) require(syscall(SYS_getppid) == parent, "the parent's number");
}

static void call(char **arguments) {
  (void)arguments;
  report("system-call", nanosecondsEach(callWork), "ns");
}

// MARK: Page fault

static void faultWork(uint64_t count) {
  const size_t byteCount = (size_t)touchedPages * pageBytes;
  while (count-- > 0) {
    uint8_t *memory =
        mmap(NULL, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "fresh memory");
    // One fault a page: a kernel without huge pages refuses, and needs not be asked.
    (void)madvise(memory, byteCount, MADV_NOHUGEPAGE);
    for (size_t place = 0; place < byteCount; place += pageBytes) {
      // Reads and writes in one instruction: one fault.
      __asm__ volatile("incb %0" : "+m"(memory[place]));
      require(memory[place] == 1, "fresh memory is zero");
    }
    require(munmap(memory, byteCount) == 0, "memory given back");
  }
}

static void fault(char **arguments) {
  (void)arguments;
  report("page-fault", nanosecondsEach(faultWork) / touchedPages, "ns");
}

// MARK: TLB shootdown

static volatile int isOver;
static cpu_set_t allowed;
static volatile uint64_t *page;

static void *compute(void *unused) {
  stayOn(1, &allowed);
  for (volatile uint64_t number = 0; !isOver;) number = number + 1;
  return unused;
}

static void shootdownWork(uint64_t count) {
  while (count-- > 0) {
    uint64_t before = *page;
    require(mprotect((void *)page, pageBytes, PROT_READ | PROT_WRITE) == 0, "rights to write");
    *page = before + 1;
    require(mprotect((void *)page, pageBytes, PROT_READ) == 0, "rights to read only");
    require(*page == before + 1, "what was written");
  }
}

static void shootdown(char **arguments) {
  (void)arguments;
  page = mmap(NULL, pageBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(page != MAP_FAILED, "a page");
  require(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "the processors");
  pthread_t other;
  int hasOther = CPU_COUNT(&allowed) > 1;
  if (hasOther) require(pthread_create(&other, NULL, compute, NULL) == 0, "a thread");
  stayOn(0, &allowed);
  double each = nanosecondsEach(shootdownWork);
  isOver = 1;
  if (hasOther) pthread_join(other, NULL);
  report("tlb-shootdown", each / 1e3, "us");
}

// MARK: Socket filter

static int ends[2];

/// Each unit is a new program: it keeps so many bytes of a message as a chain of additions says.
static void filterWork(uint64_t count) {
  enum { additions = 16, sent = 512 };
  static uint8_t message[sent];
  while (count-- > 0) {
    uint32_t kept = (uint32_t)(count % 13) + 1;
    struct sock_filter code[additions + 2] = {BPF_STMT(BPF_LD | BPF_IMM, 0)};
    for (int index = 1; index <= additions; index++)
      code[index] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, kept);
    code[additions + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    struct sock_fprog program = {additions + 2, code};
    require(setsockopt(ends[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0,
            "a filter");
    require(send(ends[0], message, sent, 0) == sent, "a message sent");
    require(recv(ends[1], message, sent, 0) == additions * kept, "the message cut by the filter");
  }
}

static void filter(char **arguments) {
  (void)arguments;
  require(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0, "two sockets");
  report("bpf-filter", nanosecondsEach(filterWork) / 1e3, "us");
}

int main(int count, char **arguments) {
  (void)count;
  const Part parts[] = {
      {"call", call}, {"fault", fault}, {"shootdown", shootdown}, {"filter", filter}};
  return runPart(parts, 4, arguments);
}
