// Product of two matrices of doubles, by the unit that the first argument names: scalar SSE2, SSE2 in
// pairs, or x87. The elements are small fractions, so every sum is exact and the same for all three.

#include "measure.h"
#include <emmintrin.h>

enum { width = 64, leftScale = 8, rightScale = 4 };

static double left[width][width] __attribute__((aligned(16)));
static double right[width][width] __attribute__((aligned(16)));
static double product[width][width] __attribute__((aligned(16)));

static int leftNumerator(int row, int column) { return (row * 7 + column * 3) % 31 - 15; }
static int rightNumerator(int row, int column) { return (row * 5 + column * 11) % 29 - 14; }

/// The sums of a row in turn, so that the innermost loop walks along two rows.
#define MULTIPLY                                                                         \
  for (int row = 0; row < width; row++) {                                                \
    for (int column = 0; column < width; column++) product[row][column] = 0;             \
    for (int index = 0; index < width; index++) {                                        \
      double factor = left[row][index];                                                  \
      for (int column = 0; column < width; column++)                                     \
        product[row][column] += factor * right[index][column];                           \
    }                                                                                    \
  }

static __attribute__((noinline)) void multiplyScalar(void) { MULTIPLY }

static __attribute__((noinline, target("fpmath=387"))) void multiplyX87(void) { MULTIPLY }

static __attribute__((noinline)) void multiplyPairs(void) {
  for (int row = 0; row < width; row++) {
    for (int column = 0; column < width; column++) product[row][column] = 0;
    for (int index = 0; index < width; index++) {
      __m128d factor = _mm_set1_pd(left[row][index]);
      for (int column = 0; column < width; column += 2) {
        __m128d term = _mm_mul_pd(factor, _mm_load_pd(&right[index][column]));
        _mm_store_pd(&product[row][column],
                     _mm_add_pd(_mm_load_pd(&product[row][column]), term));
      }
    }
  }
}

static void (*multiply)(void);

static void work(uint64_t count) {
  while (count-- > 0) multiply();
}

static void measure(const char *name, void (*function)(void)) {
  for (int row = 0; row < width; row++) {
    for (int column = 0; column < width; column++) {
      left[row][column] = (double)leftNumerator(row, column) / leftScale;
      right[row][column] = (double)rightNumerator(row, column) / rightScale;
    }
  }
  multiply = function;
  double each = nanosecondsEach(work);
  for (int row = 0; row < width; row++) {
    for (int column = 0; column < width; column++) {
      long sum = 0;
      for (int index = 0; index < width; index++)
        sum += leftNumerator(row, index) * rightNumerator(index, column);
      require(product[row][column] * leftScale * rightScale == (double)sum, "an element");
    }
  }
  report(name, 2.0 * width * width * width / each * 1e3, "MFLOP/s");
}

static void scalar(char **arguments) {
  (void)arguments;
  measure("matrix-scalar", multiplyScalar);
}

static void pairs(char **arguments) {
  (void)arguments;
  measure("matrix-sse2", multiplyPairs);
}

static void x87(char **arguments) {
  (void)arguments;
  measure("matrix-x87", multiplyX87);
}

int main(int count, char **arguments) {
  (void)count;
  const Part parts[] = {{"scalar", scalar}, {"sse2", pairs}, {"x87", x87}};
  return runPart(parts, 3, arguments);
}
