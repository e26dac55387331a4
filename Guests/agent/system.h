// What the first process of a guest does to the system before and after the program runs.
#pragma once
#include "syscalls.h"

static char commandLine[4096];

// Complaints go to the kernel's log, which the host shows.
static void complain(const char *what, const char *which, i64 error) {
    char line[512];
    u64 at = 0;
    const char *parts[] = {"<3>martlet-agent: ", what, " ", which, ": error ", 0};
    for (int part = 0; parts[part]; part++)
        for (const char *c = parts[part]; *c && at < sizeof line - 16; c++) line[at++] = *c;
    char digits[12];
    int count = 0;
    u64 number = error < 0 ? (u64)-error : (u64)error;
    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) && count < 11);
    while (count) line[at++] = digits[--count];
    line[at++] = '\n';
    i64 log = SYS2(NR_open, "/dev/kmsg", O_WRONLY);
    if (log >= 0) {
        SYS3(NR_write, log, line, at);
        SYS1(NR_close, log);
    }
}

static void mountOne(const char *type, const char *where, const char *options) {
    SYS2(NR_mkdir, where, 0755);
    i64 result = SYS5(NR_mount, type, where, type, 0, options);
    if (result < 0 && result != -16 /* EBUSY: the kernel did it */) complain("mount", where, result);
}

static void mountAll(void) {
    mountOne("proc", "/proc", 0);
    mountOne("sysfs", "/sys", 0);
    mountOne("devtmpfs", "/dev", "mode=0755");
    mountOne("devpts", "/dev/pts", "mode=0620,gid=5,ptmxmode=0666");
    mountOne("tmpfs", "/dev/shm", "mode=1777");
    SYS2(NR_symlink, "/proc/self/fd", "/dev/fd");
    SYS2(NR_symlink, "/proc/self/fd/0", "/dev/stdin");
    SYS2(NR_symlink, "/proc/self/fd/1", "/dev/stdout");
    SYS2(NR_symlink, "/proc/self/fd/2", "/dev/stderr");
}

static void readCommandLine(void) {
    i64 file = SYS2(NR_open, "/proc/cmdline", O_RDONLY);
    if (file < 0) return;
    i64 count = SYS3(NR_read, file, commandLine, sizeof commandLine - 1);
    if (count > 0) commandLine[count] = 0;
    SYS1(NR_close, file);
}

// The value of `name` (which ends in '=') on the kernel's command line, or null. The last one counts.
static const char *parameter(const char *name, char *room, u64 roomSize) {
    const char *found = 0;
    for (char *at = commandLine; *at;) {
        while (*at == ' ' || *at == '\n') at++;
        if (startsWith(at, name)) found = at + length(name);
        while (*at && *at != ' ' && *at != '\n') at++;
    }
    if (!found) return 0;
    u64 count = 0;
    while (found[count] && found[count] != ' ' && found[count] != '\n' && count < roomSize - 1) {
        room[count] = found[count];
        count++;
    }
    room[count] = 0;
    return room;
}

// Loads the modules listed in /etc/martlet/modules, one path a line, in that order.
static void loadModules(void) {
    static char list[16384];
    i64 file = SYS2(NR_open, "/etc/martlet/modules", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    i64 count = SYS3(NR_read, file, list, sizeof list - 1);
    SYS1(NR_close, file);
    if (count <= 0) return;
    list[count] = 0;
    for (char *line = list; *line;) {
        char *end = line;
        while (*end && *end != '\n') end++;
        char *next = *end ? end + 1 : end;
        *end = 0;
        if (*line) {
            i64 module = SYS2(NR_open, line, O_RDONLY | O_CLOEXEC);
            i64 result = module < 0 ? module : SYS3(NR_finit_module, module, "", 0);
            if (result < 0 && result != -EEXIST) complain("module", line, result);
            if (module >= 0) SYS1(NR_close, module);
        }
        line = next;
    }
}

static void raiseLoopback(void) {
    struct {
        char name[16];
        short flags;
        char rest[22];
    } request = {.name = "lo", .flags = 1 /* IFF_UP */};
    i64 handle = SYS3(NR_socket, 2 /* AF_INET */, 2 /* SOCK_DGRAM */, 0);
    if (handle < 0) return;
    SYS3(NR_ioctl, handle, SIOCSIFFLAGS, &request);
    SYS1(NR_close, handle);
}

static void setUpSystem(void) {
    char name[65];
    mountAll();
    readCommandLine();
    const char *host = parameter("martlet.hostname=", name, sizeof name);
    if (!host || !*host) host = "martlet";
    SYS2(NR_sethostname, host, length(host));
    loadModules();
    raiseLoopback();
}

static _Noreturn void powerOff(void) {
    SYS0(NR_sync);
    SYS4(NR_reboot, 0xfee1dead, 672274793, 0x4321fedc /* POWER_OFF */, 0);
    SYS4(NR_reboot, 0xfee1dead, 672274793, 0x01234567 /* RESTART */, 0);
    for (;;) SYS3(NR_poll, 0, 0, -1);
}
