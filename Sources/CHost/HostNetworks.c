#define _GNU_SOURCE
#include "HostNetworks.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int named(struct ifreq *request, const char *name) {
    memset(request, 0, sizeof *request);
    if (strlen(name) >= IFNAMSIZ) return ENAMETOOLONG;
    strcpy(request->ifr_name, name);
    return 0;
}

int chost_tap_attach(int descriptor, const char *name) {
    struct ifreq request;
    int error = named(&request, name);
    if (error) return error;
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(descriptor, TUNSETIFF, &request) != 0) {
        // A device that was made with several queues is attached to only with this flag.
        if (errno != EINVAL) return errno;
        request.ifr_flags |= IFF_MULTI_QUEUE;
        if (ioctl(descriptor, TUNSETIFF, &request) != 0) return errno;
    }
    int size = sizeof(struct chost_tap_header);
    return ioctl(descriptor, TUNSETVNETHDRSZ, &size) == 0 ? 0 : errno;
}

int chost_tap_set_offload(int descriptor, int checksum, int tso4, int tso6) {
    unsigned flags = 0;
    // The host segments nothing for us whose checksum it must compute.
    if (checksum) {
        flags = TUN_F_CSUM;
        if (tso4) flags |= TUN_F_TSO4;
        if (tso6) flags |= TUN_F_TSO6;
        if (tso4 || tso6) flags |= TUN_F_TSO_ECN;
    }
    return ioctl(descriptor, TUNSETOFFLOAD, (unsigned long)flags) == 0 ? 0 : errno;
}

/// An ioctl about an interface, which needs a socket, any.
static int interface(unsigned long call, const char *name, struct ifreq *request, int keep) {
    struct ifreq fresh;
    int error = named(&fresh, name);
    if (error) return error;
    if (keep) fresh.ifr_ifru = request->ifr_ifru;
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0) return errno;
    error = ioctl(any, call, &fresh) == 0 ? 0 : errno;
    close(any);
    *request = fresh;
    return error;
}

int chost_interface_mtu(const char *name) {
    struct ifreq request;
    return interface(SIOCGIFMTU, name, &request, 0) == 0 ? request.ifr_mtu : -1;
}

int chost_interface_is_up(const char *name) {
    struct ifreq request;
    if (interface(SIOCGIFFLAGS, name, &request, 0) != 0) return -1;
    return (request.ifr_flags & IFF_UP) != 0;
}

int chost_interface_set_up(const char *name) {
    struct ifreq request;
    int error = interface(SIOCGIFFLAGS, name, &request, 0);
    if (error) return error;
    request.ifr_flags |= IFF_UP;
    return interface(SIOCSIFFLAGS, name, &request, 1);
}

static int address(const char *path, struct sockaddr_un *result) {
    memset(result, 0, sizeof *result);
    result->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof result->sun_path) return ENAMETOOLONG;
    strcpy(result->sun_path, path);
    return 0;
}

/// Minus the errno, after closing.
static int failed(int descriptor) {
    int error = errno;
    if (descriptor >= 0) close(descriptor);
    return -error;
}

int chost_unix_listen(const char *path) {
    struct sockaddr_un name;
    int error = address(path, &name);
    if (error) return -error;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // The file that bind(2) makes has the mode of the socket.
    if (descriptor < 0 || fchmod(descriptor, 0600) != 0 ||
        bind(descriptor, (struct sockaddr *)&name, sizeof name) != 0 || listen(descriptor, 1) != 0)
        return failed(descriptor);
    return descriptor;
}

int chost_unix_connect(const char *path) {
    struct sockaddr_un name;
    int error = address(path, &name);
    if (error) return -error;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&name, sizeof name) != 0)
        return failed(descriptor);
    return descriptor;
}

int chost_unix_accept(int descriptor) {
    int connection =
        accept4(descriptor, (struct sockaddr *)0, (socklen_t *)0, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return connection < 0 ? -errno : connection;
}

long chost_send(int descriptor, const void *bytes, uint64_t byteCount) {
    ssize_t count = send(descriptor, bytes, byteCount, MSG_NOSIGNAL);
    return count < 0 ? -errno : count;
}
