// `memcheck [-m MEBIBYTES] [-t SECONDS] [-w THREADS]`: is memory what was written to it? Each word of an
// array is made of its place and of how often its page was written. Threads take pages at random, check
// every word of them and write some anew; in the end all pages are checked. Every eighth time the kernel
// moves the page, through a pipe, instead of the thread. Status 1 and the first wrong word if one is.

#include "measure.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

enum { pageBytes = 4096, pageWords = pageBytes / 8 };

typedef struct {
  uint64_t *array;
  uint64_t pageCount;
  /// How often each page was written; changed and read by who has the page.
  uint32_t *generations;
  _Atomic unsigned char *isTaken;
  _Atomic int isOver;
  pthread_barrier_t barrier;
  long threadCount;
} Shared;

typedef struct {
  Shared *shared;
  long index;
  pthread_t thread;
  int pipe[2];
  uint64_t checked, written;
} Task;

/// What the word at `place` is in `generation`. Neighbours, in place and time, differ in many bits.
static uint64_t wordAt(uint64_t place, uint32_t generation) {
  uint64_t word = (place + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)generation << 17;
  word = (word ^ word >> 31) * 0xd6e8feb86659fd93u;
  return word ^ word >> 29;
}

static void fillPage(uint64_t *to, uint64_t page, uint32_t generation) {
  for (uint64_t i = 0; i < pageWords; i++) to[i] = wordAt(page * pageWords + i, generation);
}

/// Prints the first wrong word and ends the program.
static void checkPage(const uint64_t *found, uint64_t page, uint32_t generation, const char *how) {
  for (uint64_t i = 0; i < pageWords; i++) {
    uint64_t expected = wordAt(page * pageWords + i, generation);
    uint64_t word = ((const volatile uint64_t *)found)[i];
    if (word == expected) continue;
    static _Atomic int isTold;
    if (atomic_exchange(&isTold, 1)) pause();
    const char *guess = "neither";
    if (word == 0) guess = "zero";
    for (uint32_t old = 0; old < generation && old < 1000; old++) {
      if (word == wordAt(page * pageWords + i, generation - 1 - old)) guess = "an older generation";
    }
    printf("memcheck: page %llu, word %llu, generation %u, read %s: expected %016llx, found %016llx (%s)\n",
           (unsigned long long)page, (unsigned long long)i, generation, how,
           (unsigned long long)expected, (unsigned long long)word, guess);
    fflush(stdout);
    _exit(1);
  }
}

/// The page through the pipe, by the kernel's own accesses.
static void carry(Task *task, void *to, const void *from) {
  require(write(task->pipe[1], from, pageBytes) == pageBytes, "a page into the pipe");
  for (size_t done = 0; done < pageBytes;) {
    ssize_t count = read(task->pipe[0], (char *)to + done, pageBytes - done);
    require(count > 0, "a page out of the pipe");
    done += (size_t)count;
  }
}

static void visit(Task *task, uint64_t page, int writes, int byKernel) {
  Shared *shared = task->shared;
  uint64_t *words = shared->array + page * pageWords, copy[pageWords];
  if (byKernel) carry(task, copy, words);
  checkPage(byKernel ? copy : words, page, shared->generations[page], byKernel ? "by the kernel" : "in place");
  task->checked++;
  if (!writes) return;
  uint32_t generation = ++shared->generations[page];
  fillPage(byKernel ? copy : words, page, generation);
  if (byKernel) carry(task, words, copy);
  task->written++;
}

static void *run(void *argument) {
  Task *task = argument;
  Shared *shared = task->shared;
  for (uint64_t page = (uint64_t)task->index; page < shared->pageCount; page += (uint64_t)shared->threadCount) {
    fillPage(shared->array + page * pageWords, page, 0);
  }
  pthread_barrier_wait(&shared->barrier);
  uint64_t random = 0x9e3779b97f4a7c15u * (uint64_t)(task->index + 1);
  while (!atomic_load_explicit(&shared->isOver, memory_order_relaxed)) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    uint64_t page = (random >> 8) % shared->pageCount;
    if (atomic_exchange_explicit(&shared->isTaken[page], 1, memory_order_acquire)) continue;
    visit(task, page, random & 1, (random & 0xe) == 0);
    atomic_store_explicit(&shared->isTaken[page], 0, memory_order_release);
  }
  pthread_barrier_wait(&shared->barrier);
  // Pages that another thread filled.
  for (uint64_t page = (uint64_t)((task->index + 1) % shared->threadCount); page < shared->pageCount;
       page += (uint64_t)shared->threadCount) {
    visit(task, page, 0, 0);
  }
  return NULL;
}

static long number(const char *text, long least, long most) {
  char *end;
  long value = strtol(text, &end, 10);
  if (end == text || *end || value < least || value > most) {
    fprintf(stderr, "memcheck: %s is no number from %ld to %ld\n", text, least, most);
    exit(2);
  }
  return value;
}

int main(int argumentCount, char **arguments) {
  long mebibytes = 256, seconds = 60, threads = sysconf(_SC_NPROCESSORS_ONLN);
  for (int option; (option = getopt(argumentCount, arguments, "m:t:w:")) != -1;) {
    switch (option) {
    case 'm': mebibytes = number(optarg, 1, 1 << 20); break;
    case 't': seconds = number(optarg, 0, 1000000); break;
    case 'w': threads = number(optarg, 1, 1024); break;
    default:
      fprintf(stderr, "usage: memcheck [-m MEBIBYTES] [-t SECONDS] [-w THREADS]\n");
      return 2;
    }
  }
  size_t bytes = (size_t)mebibytes << 20;
  Shared shared = {.pageCount = bytes / pageBytes, .threadCount = threads};
  shared.array = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  shared.generations = calloc(shared.pageCount, sizeof *shared.generations);
  shared.isTaken = calloc(shared.pageCount, 1);
  Task *tasks = calloc((size_t)threads, sizeof *tasks);
  require(shared.array != MAP_FAILED && shared.generations && shared.isTaken && tasks, "memory");
  pthread_barrier_init(&shared.barrier, NULL, (unsigned)threads + 1);
  for (long i = 0; i < threads; i++) {
    tasks[i].shared = &shared;
    tasks[i].index = i;
    require(pipe(tasks[i].pipe) == 0, "a pipe");
    require(pthread_create(&tasks[i].thread, NULL, run, &tasks[i]) == 0, "a thread");
  }
  pthread_barrier_wait(&shared.barrier);
  sleep((unsigned)seconds);
  atomic_store(&shared.isOver, 1);
  pthread_barrier_wait(&shared.barrier);
  uint64_t checked = 0, written = 0;
  for (long i = 0; i < threads; i++) {
    pthread_join(tasks[i].thread, NULL);
    checked += tasks[i].checked;
    written += tasks[i].written;
  }
  printf("memcheck: %llu pages, checked %llu, written %llu, all right\n",
         (unsigned long long)shared.pageCount, (unsigned long long)checked, (unsigned long long)written);
  return 0;
}
