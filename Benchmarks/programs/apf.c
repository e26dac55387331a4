// `apf [-f FAULTERS] [-w WORKERS] [-t SECONDS] [-m MEBIBYTES] [-p]`: what computing threads get done
// beside threads that touch memory the host may not have at hand. The method is that of the benchmark
// with which asynchronous page faults were proposed for KVM in 2010: faulters write to random pages of an
// array that was filled before, workers count, and the sum of the counts is what is compared.
//
// Workers count in adjacent words of one array, so they share cache lines, as there. With -p each has a
// line of its own.

#include "measure.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

enum { pageBytes = 4096, lineWords = 8 };

typedef struct {
  uint8_t *array;
  uint64_t pageCount;
  pthread_barrier_t start;
  _Atomic int isOver;
} Shared;

typedef struct {
  Shared *shared;
  /// A worker's count; read when the thread has ended.
  volatile uint64_t *count;
  uint64_t seed;
  /// A faulter's writes.
  uint64_t touched;
  pthread_t thread;
} Task;

static int isOver(Shared *shared) {
  return atomic_load_explicit(&shared->isOver, memory_order_relaxed);
}

static void *fault(void *argument) {
  Task *task = argument;
  Shared *shared = task->shared;
  // xorshift64: a generator of each thread's own, so that faulters meet in memory and nowhere else.
  uint64_t random = task->seed, touched = 0;
  pthread_barrier_wait(&shared->start);
  while (!isOver(shared)) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    ((volatile uint8_t *)shared->array)[random % shared->pageCount * pageBytes] = (uint8_t)random;
    touched++;
  }
  task->touched = touched;
  return NULL;
}

static void *work(void *argument) {
  Task *task = argument;
  Shared *shared = task->shared;
  volatile uint64_t *count = task->count;
  pthread_barrier_wait(&shared->start);
  while (!isOver(shared)) *count = *count + 1;
  return NULL;
}

static long number(const char *text, long least, long most) {
  char *end;
  long value = strtol(text, &end, 10);
  if (end == text || *end || value < least || value > most) {
    fprintf(stderr, "apf: %s is no number from %ld to %ld\n", text, least, most);
    exit(2);
  }
  return value;
}

int main(int argumentCount, char **arguments) {
  long faulters = 1, workers = 1, seconds = 60, mebibytes = 1024, stride = 1;
  for (int option; (option = getopt(argumentCount, arguments, "f:w:t:m:p")) != -1;) {
    switch (option) {
    case 'f': faulters = number(optarg, 0, 1024); break;
    case 'w': workers = number(optarg, 0, 1024); break;
    case 't': seconds = number(optarg, 1, 86400); break;
    case 'm': mebibytes = number(optarg, 1, 1 << 20); break;
    case 'p': stride = lineWords; break;
    default:
      fprintf(stderr, "usage: apf [-f FAULTERS] [-w WORKERS] [-t SECONDS] [-m MEBIBYTES] [-p]\n");
      return 2;
    }
  }
  size_t bytes = (size_t)mebibytes << 20, countBytes = (size_t)(workers + 1) * lineWords * 8;
  Shared shared = {.pageCount = bytes / pageBytes};
  shared.array = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(shared.array != MAP_FAILED, "memory for the array");
  volatile uint64_t *counts = aligned_alloc(64, countBytes);
  Task *tasks = calloc((size_t)(faulters + workers), sizeof *tasks);
  require(counts && (tasks || faulters + workers == 0), "memory");
  memset((void *)counts, 0, countBytes);
  // Each page is the array's before the clock starts.
  memset(shared.array, 1, bytes);
  pthread_barrier_init(&shared.start, NULL, (unsigned)(faulters + workers + 1));
  for (long i = 0; i < faulters + workers; i++) {
    Task *task = &tasks[i];
    task->shared = &shared;
    task->seed = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
    if (i >= faulters) task->count = counts + (i - faulters) * stride;
    require(pthread_create(&task->thread, NULL, i < faulters ? fault : work, task) == 0, "a thread");
  }
  pthread_barrier_wait(&shared.start);
  sleep((unsigned)seconds);
  atomic_store(&shared.isOver, 1);
  uint64_t faults = 0, total = 0;
  for (long i = 0; i < faulters + workers; i++) {
    pthread_join(tasks[i].thread, NULL);
    faults += tasks[i].touched;
  }
  printf("faults: %llu\n", (unsigned long long)faults);
  for (long i = 0; i < workers; i++) {
    uint64_t count = counts[i * stride];
    printf("worker %ld: %llu\n", i, (unsigned long long)count);
    total += count;
  }
  printf("total: %llu\n", (unsigned long long)total);
  return 0;
}
