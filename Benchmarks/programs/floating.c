// Floating point: a Fourier transform forth and back in double precision. Scalar SSE2 code with
// additions, multiplications and strided loads; sines only while the table is made.

#include "measure.h"
#include <math.h>

enum { size = 4096 };

typedef struct {
  double real, imaginary;
} Complex;

static Complex roots[size / 2];

/// Cooley and Tukey, in place. `sign` is -1 forth and 1 back; back is not divided by `size`.
static void transform(Complex *data, double sign) {
  for (unsigned index = 1, reversed = 0; index < size; index++) {
    unsigned bit = size >> 1;
    for (; reversed & bit; bit >>= 1) reversed ^= bit;
    reversed ^= bit;
    if (index < reversed) {
      Complex other = data[index];
      data[index] = data[reversed];
      data[reversed] = other;
    }
  }
  for (int length = 2; length <= size; length *= 2) {
    int half = length / 2, step = size / length;
    for (int block = 0; block < size; block += length) {
      for (int index = 0; index < half; index++) {
        Complex root = roots[index * step];
        root.imaginary *= sign;
        Complex *low = &data[block + index], *high = low + half;
        Complex turned = {high->real * root.real - high->imaginary * root.imaginary,
                          high->real * root.imaginary + high->imaginary * root.real};
        high->real = low->real - turned.real;
        high->imaginary = low->imaginary - turned.imaginary;
        low->real += turned.real;
        low->imaginary += turned.imaginary;
      }
    }
  }
}

static Complex data[size];
static double energy;

/// Forth and back; the numbers stay what they were but for rounding.
static void work(uint64_t count) {
  while (count-- > 0) {
    transform(data, -1);
    double spectralEnergy = 0;
    for (int index = 0; index < size; index++) {
      spectralEnergy +=
          data[index].real * data[index].real + data[index].imaginary * data[index].imaginary;
    }
    require(fabs(spectralEnergy / size - energy) < 1e-9 * energy, "Parseval's identity");
    transform(data, 1);
    for (int index = 0; index < size; index++) {
      data[index].real /= size;
      data[index].imaginary /= size;
    }
  }
}

int main(void) {
  for (int index = 0; index < size / 2; index++) {
    double angle = 2 * M_PI * index / size;
    roots[index] = (Complex){cos(angle), sin(angle)};
  }
  for (int index = 0; index < size; index++) {
    data[index] = (Complex){(index * 37 % 101) / 101.0, (index * 53 % 89) / 89.0};
    energy += data[index].real * data[index].real + data[index].imaginary * data[index].imaginary;
  }
  double each = nanosecondsEach(work);
  for (int index = 0; index < size; index++) {
    require(fabs(data[index].real - (index * 37 % 101) / 101.0) < 1e-11, "the numbers come back");
    require(fabs(data[index].imaginary - (index * 53 % 89) / 89.0) < 1e-11,
            "the numbers come back");
  }
  report("floating", each / 1e3, "us");
  return 0;
}
