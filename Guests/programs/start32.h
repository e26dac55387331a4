// The little that a 32-bit program without a C library needs: system calls both ways, output.
#pragma once

typedef unsigned char byte;
typedef unsigned int word;

// The kernel's entry in its vDSO (AT_SYSINFO), or 0: then only int 0x80 remains.
extern word system_entry;

enum { SYS_EXIT = 1, SYS_WRITE = 4, SYS_GETPID = 20, SYS_SIGACTION = 67, SYS_MODIFY_LDT = 123,
       SYS_MPROTECT = 125, SYS_SET_THREAD_AREA = 243 };

static inline int call_interrupt(int number, word a, word b, word c, word d)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
    return result;
}

// SYSENTER or SYSCALL, whichever the kernel chose for its vDSO; it returns behind the call.
static inline int call_entry(int number, word a, word b, word c, word d)
{
    int result;
    __asm__ volatile("call *%[entry]" : "=a"(result)
                     : [entry] "m"(system_entry), "a"(number), "b"(a), "c"(b), "d"(c), "S"(d)
                     : "memory");
    return result;
}

static inline int length(const char *text)
{
    int count = 0;
    while (text[count]) count++;
    return count;
}

static inline void print(const char *text)
{
    call_interrupt(SYS_WRITE, 1, (word)text, (word)length(text), 0);
}

// "name: " and the bytes from the highest to the lowest, as a number is written.
static inline void show(const char *name, const void *value, int count)
{
    char line[128];
    int end = 0;
    while (name[end]) { line[end] = name[end]; end++; }
    line[end++] = ' ';
    for (int index = count - 1; index >= 0; index--) {
        byte value_byte = ((const byte *)value)[index];
        line[end++] = "0123456789abcdef"[value_byte >> 4];
        line[end++] = "0123456789abcdef"[value_byte & 15];
    }
    line[end++] = '\n';
    call_interrupt(SYS_WRITE, 1, (word)line, (word)end, 0);
}

static inline void show_word(const char *name, word value) { show(name, &value, 4); }
