// Floating point as a C program uses it: every function of <math.h> in three precisions, printf,
// strtod, conversions, rounding modes, exception flags. Prints exact (hexadecimal) numbers.
#include <complex.h>
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNARY(use) use(sin) use(cos) use(tan) use(asin) use(acos) use(atan) use(sinh) use(cosh) \
    use(tanh) use(asinh) use(acosh) use(atanh) use(exp) use(exp2) use(expm1) use(log) use(log2) \
    use(log10) use(log1p) use(logb) use(sqrt) use(cbrt) use(erf) use(erfc) use(tgamma) use(lgamma) \
    use(ceil) use(floor) use(trunc) use(round) use(rint) use(fabs)
#define BINARY(use) use(pow) use(atan2) use(fmod) use(remainder) use(hypot) use(fdim) use(fmax) \
    use(fmin) use(nextafter) use(copysign)

static const double samples[] = {0.0, -0.0, 1.0, -1.0, 0.5, 1e-310, 3.5, -2.75, 1e10, 1e300, -1e-7,
    INFINITY, NAN, 709.5, 0.9999999999999999};
enum { COUNT = sizeof samples / sizeof samples[0] };

static sigjmp_buf back;
static void caught(int number) { siglongjmp(back, number); }

int main(void)
{
    for (int index = 0; index < COUNT; index++) {
        volatile double x = samples[index];
        volatile float single = (float)x;
        volatile long double extended = x;
#define ONE(name) feclearexcept(FE_ALL_EXCEPT); \
        printf(#name " %a %a %La\n", x, (double)name##f(single), name##l(extended)); \
        printf("%a %x\n", name(x), fetestexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW));
        UNARY(ONE)
        for (int other = 0; other < COUNT; other++) {
            volatile double y = samples[other];
#define TWO(name) printf(#name " %a %a %La\n", name(x, y), (double)name##f(single, (float)y), \
                         name##l(extended, (long double)y));
            BINARY(TWO)
            printf("%a %a\n", fma(x, y, -1.0), (double)fmaf(single, (float)y, 1.0f));
        }
        printf("%g %.17g %e %.40f %Lg %d %lld\n", x, x, x, x, extended, isnormal(x),
               fabs(x) < 1e18 ? llrint(x) : 0);
        double complex z = csqrt(x + 2.0 * I);
        printf("%a %a\n", creal(z), cimag(z));
    }
    static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    for (int mode = 0; mode < 4; mode++) {
        fesetround(modes[mode]);
        volatile double one = 1, three = 3, huge = 1e308;
        volatile long double wide = 1, seven = 7;
        feclearexcept(FE_ALL_EXCEPT);
        printf("%a %La %a %a\n", one / three, wide / seven, rint(2.5), -one / three);
        printf("%a %x\n", huge * 10, fetestexcept(FE_OVERFLOW | FE_INVALID));
        printf("%.3f %a\n", strtod("0.0005", NULL), strtod("1e-320", NULL));
        printf("%La\n", strtold("3.14159265358979323846264338327950288", NULL));
    }
    fesetround(FE_TONEAREST);
    signal(SIGFPE, caught);
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        feenableexcept(FE_DIVBYZERO);
        volatile double zero = 0;
        printf("%a\n", 1 / zero);
    }
    printf("signal %d\n", number);
    unsigned long long state = 88172645463325252ull;
    double sum = 0;
    for (int round = 0; round < 200000; round++) {
        state ^= state << 13; state ^= state >> 7; state ^= state << 17;
        double value;
        unsigned long long bits = (state & 0x000fffffffffffffull) | 0x3ff0000000000000ull;
        memcpy(&value, &bits, 8);
        sum += sqrt(value) * sin(value * 100) / (1 + (float)value) - (long double)value / 3;
    }
    printf("%a\n", sum);
    return 0;
}
