// `contention PROCESSES SECONDS`: many processes on one futex. Each takes a lock in shared memory, adds
// to the counters behind it and lets it go; who finds it taken waits in the kernel, who lets it go wakes
// one. All of them meet at the kernel's lock of that futex.

#include "measure.h"
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/// The lock's states: who waits has said so, so that a lock nobody waits for costs no system call.
enum { free_, taken, waitedFor };

typedef struct {
  _Atomic uint32_t lock;
  _Atomic uint32_t isOver;
  /// Behind the lock; the same as long as it holds.
  uint64_t count, sameCount;
} Shared;

static void acquire(_Atomic uint32_t *lock) {
  uint32_t state = free_;
  if (atomic_compare_exchange_strong(lock, &state, taken)) return;
  while (atomic_exchange(lock, waitedFor) != free_) {
    syscall(SYS_futex, lock, FUTEX_WAIT, waitedFor, NULL, NULL, 0);
  }
}

static void release(_Atomic uint32_t *lock) {
  if (atomic_exchange(lock, free_) == waitedFor) {
    syscall(SYS_futex, lock, FUTEX_WAKE, 1, NULL, NULL, 0);
  }
}

static void work(Shared *shared) {
  while (!atomic_load_explicit(&shared->isOver, memory_order_relaxed)) {
    acquire(&shared->lock);
    shared->count++;
    for (int i = 0; i < 50; i++) keep(shared);
    shared->sameCount++;
    release(&shared->lock);
    // Something of its own, and a system call, as programs make.
    for (int i = 0; i < 100; i++) keep(shared);
    syscall(SYS_getppid);
  }
}

int main(int count, char **arguments) {
  require(count == 3, "usage: contention PROCESSES SECONDS");
  long processes = strtol(arguments[1], NULL, 10), seconds = strtol(arguments[2], NULL, 10);
  Shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(shared != MAP_FAILED, "shared memory");
  uint64_t start = nanoseconds();
  for (long i = 0; i < processes; i++) {
    pid_t process = fork();
    require(process >= 0, "fork");
    if (process == 0) {
      work(shared);
      _exit(0);
    }
  }
  sleep((unsigned)seconds);
  atomic_store(&shared->isOver, 1);
  for (long i = 0; i < processes; i++) require(wait(NULL) > 0, "wait");
  double took = (double)(nanoseconds() - start) / 1e9;
  require(shared->count == shared->sameCount, "the lock held");
  report("contention", (double)shared->count / took, "1/s");
  return 0;
}
