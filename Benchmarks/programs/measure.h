// What every program here shares: the clock, how long it measures, the line that is printed, the
// end on a wrong result.
//
// A program does the same work wherever it runs, checks what came out, and prints `NAME value unit`.

#ifndef MEASURE_H
#define MEASURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/// Nanoseconds of CLOCK_MONOTONIC.
static inline uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// Does so many units of work, and checks them.
typedef void Work(uint64_t count);

/// Nanoseconds that a unit takes: those of the first batch of at least a quarter of a second, after
/// smaller ones that warm up. Sides that differ a hundred times in speed take equally long.
static inline double nanosecondsEach(Work *work) {
  const double least = 250e6, aim = 300e6;
  for (uint64_t count = 1;;) {
    uint64_t start = nanoseconds();
    work(count);
    double took = (double)(nanoseconds() - start);
    if (took >= least) return took / (double)count;
    double wanted = took > 0 ? aim / took * (double)count : 1e18;
    count = wanted < 10 * (double)count ? (uint64_t)wanted + 1 : count * 10;
  }
}

/// Prints the line that the runner looks for.
static inline void report(const char *name, double value, const char *unit) {
  printf("%s %.6g %s\n", name, value, unit);
  fflush(stdout);
}

/// Ends the program unless `isRight`: a number for wrong work is no number.
static inline void require(int isRight, const char *what) {
  if (isRight) return;
  fprintf(stderr, "wrong result: %s\n", what);
  exit(1);
}

/// Hides from the compiler that `pointer` and memory stay what they were.
static inline void keep(void *pointer) { __asm__ volatile("" : : "r"(pointer) : "memory"); }

/// Lets the caller run on one processor only: the `index`th of those in `allowed`, or the last.
static inline void stayOn(int index, const cpu_set_t *allowed) {
  int last = CPU_COUNT(allowed) - 1;
  if (index > last) index = last;
  for (int processor = 0; processor < CPU_SETSIZE; processor++) {
    if (!CPU_ISSET(processor, allowed) || index-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    require(sched_setaffinity(0, sizeof one, &one) == 0, "a processor of one's own");
    return;
  }
}

/// The part of a program of several that its first argument names.
typedef struct {
  const char *name;
  void (*run)(char **arguments);
} Part;

/// Runs the named part; the program's status.
static inline int runPart(const Part *parts, int partCount, char **arguments) {
  for (int index = 0; index < partCount; index++) {
    if (arguments[1] && strcmp(arguments[1], parts[index].name) == 0) {
      parts[index].run(arguments + 2);
      return 0;
    }
  }
  fprintf(stderr, "usage: %s", arguments[0]);
  for (int index = 0; index < partCount; index++) {
    fprintf(stderr, "%s%s", index ? "|" : " ", parts[index].name);
  }
  fprintf(stderr, "\n");
  return 2;
}

#endif
