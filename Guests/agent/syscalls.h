// Raw Linux system calls for x86-64: the agent has no C library.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

static inline i64 syscall6(i64 number, i64 a, i64 b, i64 c, i64 d, i64 e, i64 f) {
    register i64 r10 __asm__("r10") = d;
    register i64 r8 __asm__("r8") = e;
    register i64 r9 __asm__("r9") = f;
    i64 result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define P(x) ((i64)(x))
#define SYS0(n) syscall6(n, 0, 0, 0, 0, 0, 0)
#define SYS1(n, a) syscall6(n, P(a), 0, 0, 0, 0, 0)
#define SYS2(n, a, b) syscall6(n, P(a), P(b), 0, 0, 0, 0)
#define SYS3(n, a, b, c) syscall6(n, P(a), P(b), P(c), 0, 0, 0)
#define SYS4(n, a, b, c, d) syscall6(n, P(a), P(b), P(c), P(d), 0, 0)
#define SYS5(n, a, b, c, d, e) syscall6(n, P(a), P(b), P(c), P(d), P(e), 0)

enum {
    NR_read = 0, NR_write = 1, NR_open = 2, NR_close = 3, NR_poll = 7, NR_rt_sigprocmask = 14,
    NR_ioctl = 16, NR_socket = 41, NR_fork = 57, NR_execve = 59, NR_exit = 60, NR_wait4 = 61,
    NR_kill = 62, NR_chdir = 80, NR_mkdir = 83, NR_dup2 = 33, NR_setsid = 112, NR_sync = 162,
    NR_mount = 165, NR_reboot = 169, NR_sethostname = 170, NR_symlink = 88, NR_signalfd4 = 289, NR_timerfd_create = 283,
    NR_timerfd_settime = 286, NR_uname = 63, NR_clock_settime = 227,
    NR_pipe2 = 293, NR_finit_module = 313,
};

enum {
    O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_NOCTTY = 0400, O_NONBLOCK = 04000,
    O_CLOEXEC = 02000000,
};

enum { EINTR = 4, EAGAIN = 11, ENOENT = 2, EACCES = 13, ENOTDIR = 20, EEXIST = 17 };
enum { POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16 };
enum { WNOHANG = 1 };
enum { SIGCHLD = 17, SIG_BLOCK = 0, SIG_UNBLOCK = 1 };

// ioctls of terminals and of the loopback device
enum {
    TCGETS = 0x5401, TCSETS = 0x5402, TCSBRK = 0x5409, TIOCSCTTY = 0x540e, TIOCSWINSZ = 0x5414,
    TIOCGPTN = 0x80045430, TIOCSPTLCK = 0x40045431, SIOCSIFFLAGS = 0x8914, SIOCGIFFLAGS = 0x8913,
    SIOCSIFADDR = 0x8916, SIOCSIFNETMASK = 0x891c, SIOCADDRT = 0x890b,
    SIOCSIFHWADDR = 0x8924, SIOCGIFHWADDR = 0x8927, RNDADDENTROPY = 0x40085203, RNDRESEEDCRNG = 0x5207,
};

struct pollfd {
    int fd;
    short events, revents;
};

struct winsize {
    u16 rows, columns, xpixel, ypixel;
};

struct termios {
    u32 iflag, oflag, cflag, lflag;
    u8 line, cc[19];
};

// termios bits used
enum { CS8 = 060, CREAD = 0200, CLOCAL = 04000, B115200 = 010002, VMIN = 6, VTIME = 5 };
#define CRTSCTS 020000000000u

__attribute__((used)) void *memcpy(void *to, const void *from, u64 count) {
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return result;
}

__attribute__((used)) void *memset(void *to, int value, u64 count) {
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    return result;
}

static u64 length(const char *text) {
    u64 count = 0;
    while (text[count]) count++;
    return count;
}

static int startsWith(const char *text, const char *prefix) {
    while (*prefix)
        if (*text++ != *prefix++) return 0;
    return 1;
}
