// What every program here shares: the clock, the line that is printed, the end on a wrong result.
//
// A program does the same work wherever it runs, checks what came out, and prints `NAME value unit`.

#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/// Nanoseconds of CLOCK_MONOTONIC.
static inline uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
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

#endif
