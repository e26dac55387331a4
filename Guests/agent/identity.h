// Who this machine is, when it goes on as a copy of another, or where it stood for a while.
#include "system.h"

enum { identitySeed = 32 };

// Bytes that no other copy has, for the kernel's random numbers from now on: drivers/char/random.c.
static void addEntropy(const u8 *seed) {
    struct {
        int bitCount, byteCount;
        u8 bytes[identitySeed];
    } pool = {8 * identitySeed, identitySeed, {0}};
    memcpy(pool.bytes, seed, identitySeed);
    i64 handle = SYS2(NR_open, "/dev/urandom", O_RDWR | O_CLOEXEC);
    if (handle < 0) return;
    SYS3(NR_ioctl, handle, RNDADDENTROPY, &pool);
    SYS3(NR_ioctl, handle, RNDRESEEDCRNG, 0);
    SYS1(NR_close, handle);
}

// The hexadecimal number that is the next word of a line.
static u32 takeHex(const char **text) {
    u32 value = 0;
    while (**text == ' ' || **text == '\t') (*text)++;
    for (;; (*text)++) {
        char digit = **text;
        if (digit >= '0' && digit <= '9') value = value * 16 + (u32)(digit - '0');
        else if (digit >= 'A' && digit <= 'F') value = value * 16 + (u32)(digit - 'A') + 10;
        else return value;
    }
}

// Routes of /proc/net/route, as it was: those of an interface that lead to a gateway.
static void addRoutes(int handle, const char *interface, const char *text) {
    u64 count = length(interface);
    while (*text) {
        if (startsWith(text, interface) && text[count] == '\t') {
            const char *at = text + count;
            u32 destination = takeHex(&at), gateway = takeHex(&at), flags = takeHex(&at);
            for (int skipped = 0; skipped < 3; skipped++) takeHex(&at);
            u32 mask = takeHex(&at);
            if (flags & 2) addRoute(handle, interface, destination, gateway, mask);
        }
        while (*text && *text != '\n') text++;
        if (*text) text++;
    }
}

// A netfront reads its address in the first domain alone, and an interface that is up keeps it.
static void setHardwareAddress(int number, const u8 *address) {
    struct interface request = {.name = "eth0"};
    if (number > 9) return;
    request.name[3] = (char)('0' + number);
    int handle = (int)SYS3(NR_socket, 2 /* AF_INET */, 2 /* SOCK_DGRAM */, 0);
    if (handle < 0) return;
    if (SYS3(NR_ioctl, handle, SIOCGIFHWADDR, &request) == 0) {
        int isAnother = 0;
        for (int byte = 0; byte < 6; byte++) isAnother |= request.hardware.bytes[byte] != address[byte];
        if (isAnother && SYS3(NR_ioctl, handle, SIOCGIFFLAGS, &request) == 0) {
            static char routes[8192];
            i64 file = SYS2(NR_open, "/proc/net/route", O_RDONLY | O_CLOEXEC), size = 0;
            if (file >= 0) {
                size = SYS3(NR_read, file, routes, sizeof routes - 1);
                SYS1(NR_close, file);
            }
            routes[size > 0 ? size : 0] = 0;
            short flags = request.flags;
            request.flags = flags & ~up;
            SYS3(NR_ioctl, handle, SIOCSIFFLAGS, &request);
            memset(request.rest, 0, sizeof request.rest);
            request.hardware.family = 1;  // ARPHRD_ETHER
            memcpy(request.hardware.bytes, address, 6);
            i64 result = SYS3(NR_ioctl, handle, SIOCSIFHWADDR, &request);
            if (result < 0) complain("the address of", request.name, result);
            request.flags = flags;
            SYS3(NR_ioctl, handle, SIOCSIFFLAGS, &request);
            // Addresses stay, routes by a gateway went with the interface.
            addRoutes(handle, request.name, routes);
        }
    }
    SYS1(NR_close, handle);
}

static char named[65];  // as the host last called this machine

// The name, unless somebody in the guest has given it another than that of the command line.
static void setHostName(const char *name, u32 count) {
    char known[65], given[390];
    if (!count || count > 64 || SYS1(NR_uname, given) < 0) return;
    const char *first = parameter("martlet.hostname=", known, sizeof known);
    if (!first || !*first) first = "martlet";
    const char *current = given + 65;  // struct new_utsname: the second of its texts
    if (named[0] && length(named) == length(current) && startsWith(current, named)) first = named;
    if (length(first) != length(current) || !startsWith(current, first)) return;
    SYS2(NR_sethostname, name, count);
    memcpy(named, name, count);
    named[count] = 0;
}

static u64 get64(const u8 *at) {
    u64 value = 0;
    for (int byte = 7; byte >= 0; byte--) value = value << 8 | at[byte];
    return value;
}

// seed (32 bytes), the time in nanoseconds since 1970 u64 (0: the kernel knows it), count of interfaces u8,
// their addresses (6 bytes each), then the machine's name.
static void takeIdentity(const u8 *payload, u32 count) {
    if (count < identitySeed + 9) return;
    addEntropy(payload);
    u64 time = get64(payload + identitySeed);
    if (time) {
        u64 value[2] = {time / 1000000000, time % 1000000000};
        SYS2(NR_clock_settime, 0 /* CLOCK_REALTIME */, value);
    }
    u32 interfaces = payload[identitySeed + 8], at = identitySeed + 9;
    if (count - at < 6 * interfaces) return;
    for (u32 number = 0; number < interfaces; number++, at += 6)
        setHardwareAddress((int)number, payload + at);
    setHostName((const char *)payload + at, count - at);
}
