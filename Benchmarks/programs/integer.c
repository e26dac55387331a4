// Integers: a sieve of primes, shell sort and a checksum by table. Branches, shifts, loads and
// stores within the first-level caches, no floating point.

#include "measure.h"
#include <string.h>

enum { limit = 400000, primesBelowLimit = 33860, sortedCount = 60000, checksumRounds = 40 };

/// Primes below `limit` by Eratosthenes.
static int countPrimes(void) {
  static uint8_t isComposite[limit];
  memset(isComposite, 0, sizeof isComposite);
  int count = 0;
  for (int number = 2; number < limit; number++) {
    if (isComposite[number]) continue;
    count++;
    for (long multiple = (long)number * number; multiple < limit; multiple += number)
      isComposite[multiple] = 1;
  }
  return count;
}

/// Shell sort with Knuth's gaps.
static void sort(uint32_t *values, int count) {
  int gap = 1;
  while (gap < count / 3) gap = gap * 3 + 1;
  for (; gap > 0; gap /= 3) {
    for (int index = gap; index < count; index++) {
      uint32_t value = values[index];
      int place = index;
      for (; place >= gap && values[place - gap] > value; place -= gap)
        values[place] = values[place - gap];
      values[place] = value;
    }
  }
}

/// CRC-32 (ISO 3309) over `bytes`, continuing `checksum`.
static uint32_t crc(uint32_t checksum, const uint8_t *bytes, size_t count) {
  static uint32_t table[256];
  if (!table[1]) {
    for (uint32_t index = 0; index < 256; index++) {
      uint32_t remainder = index;
      for (int bit = 0; bit < 8; bit++)
        remainder = remainder & 1 ? remainder >> 1 ^ 0xedb88320u : remainder >> 1;
      table[index] = remainder;
    }
  }
  checksum = ~checksum;
  while (count--) checksum = table[(checksum ^ *bytes++) & 0xff] ^ checksum >> 8;
  return ~checksum;
}

int main(void) {
  static uint32_t values[sortedCount];
  require(crc(0, (const uint8_t *)"123456789", 9) == 0xcbf43926u, "CRC-32 of the standard's text");
  uint64_t start = nanoseconds();
  require(countPrimes() == primesBelowLimit, "number of primes");
  uint32_t state = 2463534242u;
  uint64_t sum = 0;
  for (int index = 0; index < sortedCount; index++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    values[index] = state;
    sum += state;
  }
  sort(values, sortedCount);
  uint32_t first = 0;
  for (int round = 0; round < checksumRounds; round++) {
    uint32_t checksum = crc(0, (const uint8_t *)values, sizeof values);
    require(round == 0 || checksum == first, "the same checksum each time");
    first = checksum;
  }
  uint64_t end = nanoseconds();
  for (int index = 0; index < sortedCount; index++) {
    require(index == 0 || values[index - 1] <= values[index], "order");
    sum -= values[index];
  }
  require(sum == 0, "the same numbers as before");
  report("integer", (double)(end - start) / 1e6, "ms");
  return 0;
}
