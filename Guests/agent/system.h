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

// Without a driver there is nothing to wait for.
static int hasDriver(const char *path) {
    i64 driver = SYS2(NR_open, path, O_RDONLY | O_CLOEXEC);
    if (driver < 0) complain("there is no driver", path, driver);
    else SYS1(NR_close, driver);
    return driver >= 0;
}

// Reads `10.0.2.15`, an address as it lies in memory, and goes behind it and one separator.
static u32 takeAddress(const char **text) {
    u32 result = 0;
    for (int part = 0; part < 4; part++) {
        u32 number = 0;
        while (**text >= '0' && **text <= '9') number = number * 10 + (u32)(*(*text)++ - '0');
        result |= (number & 255) << (part * 8);
        if (**text) (*text)++;
    }
    return result;
}

// struct ifreq with an address of IPv4 or of hardware, or with flags.
struct interface {
    char name[16];
    union {
        struct {
            u16 family, port;
            u32 address;
        };
        struct {
            u16 family;
            u8 bytes[6];
        } hardware;
        short flags;
        char rest[24];
    };
};

enum { up = 1, running = 0x40 };

// The backend makes the interface while the system starts: it is waited for, but not for ever.
static int waitForInterface(int handle, struct interface *request, short wanted) {
    for (int tries = 0; tries < 5000; tries++) {
        if (SYS3(NR_ioctl, handle, SIOCGIFFLAGS, request) == 0 &&
            (request->flags & wanted) == wanted)
            return 1;
        SYS3(NR_poll, 0, 0, 1);
    }
    return 0;
}

static void setAddress(int handle, struct interface *request, u64 which, u32 address) {
    memset(request->rest, 0, sizeof request->rest);
    request->family = 2;
    request->address = address;
    i64 result = SYS3(NR_ioctl, handle, which, request);
    if (result < 0) complain("setting up", request->name, result);
}

// By way of a gateway.
static void addRoute(int handle, const char *interface, u32 destination, u32 gateway, u32 mask) {
    // struct rtentry: destination, gateway and mask are each 16 bytes with a family at first.
    u8 route[120];
    memset(route, 0, sizeof route);
    for (int at = 8; at <= 40; at += 16) route[at] = 2;
    memcpy(route + 8 + 4, &destination, 4);
    memcpy(route + 24 + 4, &gateway, 4);
    memcpy(route + 40 + 4, &mask, 4);
    route[56] = 3;  // RTF_UP, RTF_GATEWAY
    i64 result = SYS3(NR_ioctl, handle, SIOCADDRT, route);
    if (result < 0) complain("the route of", interface, result);
}

// `martlet.net=ADDRESS/MASK,GATEWAY` sets up the first interface, eth0.
static void setUpNetwork(void) {
    char room[80];
    const char *text = parameter("martlet.net=", room, sizeof room);
    if (!text || !*text) return;
    if (!hasDriver("/sys/bus/xen/drivers/vif")) return;
    u32 address = takeAddress(&text), mask = takeAddress(&text), gateway = takeAddress(&text);
    struct interface request = {.name = "eth0"};
    int handle = (int)SYS3(NR_socket, 2 /* AF_INET */, 2 /* SOCK_DGRAM */, 0);
    if (handle < 0) return;
    if (!waitForInterface(handle, &request, 0)) {
        complain("waiting for", request.name, 110 /* ETIMEDOUT */);
    } else {
        setAddress(handle, &request, SIOCSIFADDR, address);
        setAddress(handle, &request, SIOCSIFNETMASK, mask);
        // The other flags, of which the interface has IFF_MULTICAST, are to stay as they are.
        waitForInterface(handle, &request, 0);
        request.flags |= up;
        SYS3(NR_ioctl, handle, SIOCSIFFLAGS, &request);
        waitForInterface(handle, &request, running);
        addRoute(handle, request.name, 0, gateway, 0);
    }
    SYS1(NR_close, handle);
}

// `martlet.disks=2` has the program find /dev/xvda and /dev/xvdb, which come while the system starts.
static void waitForDisks(void) {
    char room[8], path[] = "/dev/xvda";
    const char *text = parameter("martlet.disks=", room, sizeof room);
    if (!text || *text < '1' || *text > '9' || !hasDriver("/sys/bus/xen/drivers/vbd")) return;
    int count = *text - '0';
    if (text[1] >= '0' && text[1] <= '9') count = count * 10 + (text[1] - '0');
    for (int disk = 0; disk < count && disk < 26; disk++) {
        path[8] = (char)('a' + disk);
        for (int tries = 0; tries < 5000; tries++) {
            i64 handle = SYS2(NR_open, path, O_RDONLY | O_CLOEXEC);
            if (handle >= 0) {
                SYS1(NR_close, handle);
                break;
            }
            if (tries == 4999) complain("waiting for", path, handle);
            SYS3(NR_poll, 0, 0, 1);
        }
    }
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
    setUpNetwork();
    waitForDisks();
}

static _Noreturn void powerOff(void) {
    SYS0(NR_sync);
    SYS4(NR_reboot, 0xfee1dead, 672274793, 0x4321fedc /* POWER_OFF */, 0);
    SYS4(NR_reboot, 0xfee1dead, 672274793, 0x01234567 /* RESTART */, 0);
    for (;;) SYS3(NR_poll, 0, 0, -1);
}
