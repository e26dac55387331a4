// A network of the calling thread's own, and interfaces in it.
#ifndef MARTLET_NETWORKNAMESPACE_H
#define MARTLET_NETWORKNAMESPACE_H

#include <stdint.h>

/// Puts the calling thread, and those it starts, into a new network namespace whose loopback
/// interface is up. 0, or the errno.
int test_enter_network_namespace(void);

/// Gives an interface an IPv4 address (its first byte highest) with a prefix. 0, or the errno.
int test_interface_set_address(const char *_Nonnull name, uint32_t address, int prefixLength);

/// 0, or the errno.
int test_interface_set_mtu(const char *_Nonnull name, int mtu);

/// 0, or the errno.
int test_interface_set_down(const char *_Nonnull name);

/// Makes a TAP device that stays, as `ip tuntap add` does, down. 0, or the errno.
int test_tap_make(const char *_Nonnull name, int mtu);

#endif
