#define _GNU_SOURCE
#include "NetworkNamespace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int interface(unsigned long call, struct ifreq *request) {
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0) return errno;
    int error = ioctl(any, call, request) == 0 ? 0 : errno;
    close(any);
    return error;
}

static struct ifreq named(const char *name) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return request;
}

static int set_up(const char *name, int up) {
    struct ifreq request = named(name);
    int error = interface(SIOCGIFFLAGS, &request);
    if (error) return error;
    request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    return interface(SIOCSIFFLAGS, &request);
}

int test_enter_network_namespace(void) {
    if (unshare(CLONE_NEWNET) != 0) return errno;
    return set_up("lo", 1);
}

int test_interface_set_address(const char *name, uint32_t address, int prefixLength) {
    struct ifreq request = named(name);
    struct sockaddr_in *place = (struct sockaddr_in *)&request.ifr_addr;
    place->sin_family = AF_INET;
    place->sin_addr.s_addr = htonl(address);
    int error = interface(SIOCSIFADDR, &request);
    if (error) return error;
    place->sin_addr.s_addr = htonl(prefixLength ? ~0u << (32 - prefixLength) : 0);
    return interface(SIOCSIFNETMASK, &request);
}

int test_interface_set_mtu(const char *name, int mtu) {
    struct ifreq request = named(name);
    request.ifr_mtu = mtu;
    return interface(SIOCSIFMTU, &request);
}

int test_interface_set_down(const char *name) { return set_up(name, 0); }

int test_tap_make(const char *name, int mtu) {
    int device = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (device < 0) return errno;
    struct ifreq request = named(name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    int error = 0;
    if (ioctl(device, TUNSETIFF, &request) != 0 || ioctl(device, TUNSETPERSIST, 1) != 0)
        error = errno;
    close(device);
    return error ? error : test_interface_set_mtu(name, mtu);
}
