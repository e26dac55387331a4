// Calls: `calls recursive` computes Fibonacci's numbers by definition, `calls indirect` goes through
// a table of functions, which one follows from the last one's result.

#include "measure.h"

enum { depth = 20, fibonacci = 6765, recursiveCalls = 21891, indirectCalls = 20000 };

/// Two calls where it says so: the compiler would make loops of them.
static __attribute__((noinline, noclone, optimize("O1"))) uint64_t fib(int number) {
  return number < 2 ? (uint64_t)number : fib(number - 1) + fib(number - 2);
}

static void recurse(uint64_t count) {
  while (count-- > 0) require(fib(depth) == fibonacci, "Fibonacci's number");
}

#define FUNCTION(number, expression) \
  static __attribute__((noinline)) uint64_t function##number(uint64_t x) { return expression; }
FUNCTION(0, x * 3 + 1)
FUNCTION(1, x ^ (x >> 3))
FUNCTION(2, x + 0x9e3779b9)
FUNCTION(3, (x << 5) | (x >> 59))
FUNCTION(4, x - 7)
FUNCTION(5, ~x)
FUNCTION(6, x * x + 1)
FUNCTION(7, x ^ 0x55aa)

typedef uint64_t Function(uint64_t);

static Function *volatile table[8] = {function0, function1, function2, function3,
                                      function4, function5, function6, function7};

/// What `choose` must come to, without a table.
static uint64_t expected(void) {
  uint64_t x = 1;
  for (int call = 0; call < indirectCalls; call++) {
    switch (x >> 7 & 7) {
    case 0: x = x * 3 + 1; break;
    case 1: x = x ^ (x >> 3); break;
    case 2: x = x + 0x9e3779b9; break;
    case 3: x = (x << 5) | (x >> 59); break;
    case 4: x = x - 7; break;
    case 5: x = ~x; break;
    case 6: x = x * x + 1; break;
    default: x = x ^ 0x55aa;
    }
  }
  return x;
}

static void choose(uint64_t count) {
  static uint64_t right;
  if (!right) right = expected();
  while (count-- > 0) {
    uint64_t x = 1;
    for (int call = 0; call < indirectCalls; call++) x = table[x >> 7 & 7](x);
    require(x == right, "the last result");
  }
}

static void recursive(char **arguments) {
  (void)arguments;
  report("calls-recursive", recursiveCalls * 1e3 / nanosecondsEach(recurse), "Mcall/s");
}

static void indirect(char **arguments) {
  (void)arguments;
  report("calls-indirect", indirectCalls * 1e3 / nanosecondsEach(choose), "Mcall/s");
}

int main(int count, char **arguments) {
  (void)count;
  const Part parts[] = {{"recursive", recursive}, {"indirect", indirect}};
  return runPart(parts, 2, arguments);
}
