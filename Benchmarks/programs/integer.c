// Integers, in the manner of CoreMark: a linked list searched, reversed and sorted, products of small
// matrices, a state machine over text, all of it summed up by CRC-16. `integer pair` does it in two
// processes at once.

#include "measure.h"
#include <sys/wait.h>
#include <unistd.h>

enum { iterations = 64, expectedChecksum = 0x0a2f };

// MARK: Checksum

static uint16_t crcByte(uint8_t byte, uint16_t checksum) {
  for (int bit = 0; bit < 8; bit++) {
    int isOdd = (byte ^ checksum) & 1;
    byte >>= 1;
    checksum >>= 1;
    if (isOdd) checksum ^= 0xa001;
  }
  return checksum;
}

static uint16_t crcWord(uint16_t word, uint16_t checksum) {
  return crcByte((uint8_t)(word >> 8), crcByte((uint8_t)word, checksum));
}

static uint16_t crcLong(uint32_t value, uint16_t checksum) {
  return crcWord((uint16_t)(value >> 16), crcWord((uint16_t)value, checksum));
}

// MARK: List

enum { nodeCount = 64, searches = 16 };

typedef struct Node {
  struct Node *next;
  int16_t key, value;
} Node;

typedef int Order(const Node *, const Node *);

static int byKey(const Node *left, const Node *right) { return left->key - right->key; }

static int byValue(const Node *left, const Node *right) {
  return left->value != right->value ? left->value - right->value : left->key - right->key;
}

static Node *reversed(Node *head) {
  Node *done = NULL;
  while (head) {
    Node *next = head->next;
    head->next = done;
    done = head;
    head = next;
  }
  return done;
}

/// Merge sort; stable.
static Node *sorted(Node *head, Order *order) {
  if (!head || !head->next) return head;
  Node *middle = head;
  for (Node *fast = head->next; fast && fast->next; fast = fast->next->next) middle = middle->next;
  Node *right = middle->next;
  middle->next = NULL;
  Node *left = sorted(head, order), *result = NULL, **end = &result;
  right = sorted(right, order);
  while (left && right) {
    Node **smaller = order(left, right) <= 0 ? &left : &right;
    *end = *smaller;
    end = &(*end)->next;
    *smaller = (*smaller)->next;
  }
  *end = left ? left : right;
  return result;
}

static uint16_t list(uint16_t seed) {
  static Node nodes[nodeCount];
  for (int index = 0; index < nodeCount; index++) {
    nodes[index].key = (int16_t)(index * 37 + seed) & 0x3ff;
    nodes[index].value = (int16_t)((index * index * 7) ^ seed) & 0xff;
    nodes[index].next = index + 1 < nodeCount ? &nodes[index + 1] : NULL;
  }
  Node *head = nodes;
  uint16_t checksum = seed;
  for (int search = 0; search < searches; search++) {
    int16_t wanted = (int16_t)((search * 91 + seed) & 0xff);
    int position = 0;
    for (Node *node = head; node && node->value != wanted; node = node->next) position++;
    checksum = crcWord((uint16_t)position, checksum);
    head = reversed(head);
  }
  head = sorted(head, byKey);
  checksum = crcWord((uint16_t)head->value, checksum);
  head = sorted(head, byValue);
  for (Node *node = head; node; node = node->next) {
    checksum = crcWord((uint16_t)(node->key ^ node->value), checksum);
  }
  return checksum;
}

// MARK: Matrices

enum { width = 12, products = 3 };

static uint16_t matrices(uint16_t seed) {
  static int16_t left[width * width], right[width * width];
  static int32_t product[width * width];
  uint16_t checksum = seed;
  for (int index = 0; index < width * width; index++) {
    left[index] = (int16_t)((index * seed + 3) % 97);
    right[index] = (int16_t)((index + seed * 5) % 89);
  }
  for (int round = 0; round < products; round++) {
    for (int row = 0; row < width; row++) {
      for (int column = 0; column < width; column++) {
        int32_t sum = 0;
        for (int index = 0; index < width; index++) {
          sum += (int32_t)left[row * width + index] * right[index * width + column];
        }
        product[row * width + column] = sum;
      }
    }
    int32_t total = 0;
    for (int index = 0; index < width * width; index++) {
      total += product[index] >> 2;
      if (product[index] > 20000) total ^= 0x55;
      left[index] = (int16_t)(left[index] + (product[index] & 7) - 3);
    }
    for (int row = 0; row < width; row++) {
      for (int column = 0; column < width; column++) {
        int32_t sum = 0;
        for (int index = 0; index < width; index++) {
          int32_t term = (int32_t)left[row * width + index] * right[index * width + column];
          sum += ((term >> 2) & 15) * ((term >> 5) & 127);
        }
        total += sum;
      }
    }
    checksum = crcLong((uint32_t)total, checksum);
  }
  return checksum;
}

// MARK: Text

enum { passes = 3 };

typedef enum {
  start, sign, decimal, zero, hexadecimal, fraction, exponent, exponentSign, exponentDigits, invalid,
  stateCount
} State;

static const char numbers[] =
    "5012,-874,+122,0x1f,1.5e3,-.123,T0.3e-1F,87.1234,-110.700,+0.64400,0x7G,e9,12.0.1,999999,"
    "-1e+5,+,.,abc,0xdead,3.14159,42,-0,007,1e,2e5x,";

static State following(State state, unsigned char character) {
  int isDigit = character >= '0' && character <= '9';
  int isSign = character == '+' || character == '-';
  switch (state) {
  case start:
    return character == '0' ? zero : isDigit ? decimal : isSign ? sign
        : character == '.' ? fraction : invalid;
  case sign:
    return character == '0' ? zero : isDigit ? decimal : character == '.' ? fraction : invalid;
  case zero:
    return character == 'x' ? hexadecimal : isDigit ? decimal : character == '.' ? fraction
        : character == 'e' ? exponent : invalid;
  case decimal:
    return isDigit ? decimal : character == '.' ? fraction : character == 'e' ? exponent : invalid;
  case hexadecimal:
    return isDigit || (character >= 'a' && character <= 'f') ? hexadecimal : invalid;
  case fraction: return isDigit ? fraction : character == 'e' ? exponent : invalid;
  case exponent: return isSign ? exponentSign : isDigit ? exponentDigits : invalid;
  case exponentSign:
  case exponentDigits: return isDigit ? exponentDigits : invalid;
  default: return invalid;
  }
}

/// How many words of `numbers` end in each state.
static uint16_t text(uint16_t seed) {
  uint32_t counts[stateCount] = {0};
  char words[sizeof numbers];
  memcpy(words, numbers, sizeof numbers);
  for (size_t index = seed % 7; index < sizeof words - 1; index += 11) {
    if (words[index] != ',') words[index] ^= seed & 1;
  }
  for (int pass = 0; pass < passes; pass++) {
    State state = start;
    for (const char *place = words; *place; place++) {
      if (*place == ',') {
        counts[state]++;
        state = start;
      } else {
        state = following(state, (unsigned char)*place);
      }
    }
  }
  uint16_t checksum = seed;
  for (int state = 0; state < stateCount; state++) checksum = crcLong(counts[state], checksum);
  return checksum;
}

// MARK: All together

static void work(uint64_t count) {
  while (count-- > 0) {
    uint16_t checksum = 0;
    for (int iteration = 0; iteration < iterations; iteration++) {
      uint16_t seed = (uint16_t)(iteration * 257 + 1);
      checksum = crcWord(list(seed), checksum);
      checksum = crcWord(matrices(seed), checksum);
      checksum = crcWord(text(seed), checksum);
    }
    require(checksum == expectedChecksum, "checksum of the iterations");
  }
}

static void pair(uint64_t count) {
  pid_t other = fork();
  require(other >= 0, "fork");
  work(count);
  if (other == 0) _exit(0);
  int status = 0;
  require(waitpid(other, &status, 0) == other && status == 0, "the other process");
}

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "pair") == 0) {
    report("integer-pair", 2 * iterations * 1e9 / nanosecondsEach(pair), "iter/s");
  } else {
    report("integer", iterations * 1e9 / nanosecondsEach(work), "iter/s");
  }
  return 0;
}
