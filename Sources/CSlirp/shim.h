// libslirp, and the calls that later versions of it advise against: they stay, and 4.7 has no others.
#ifndef MARTLET_CSLIRP_H
#define MARTLET_CSLIRP_H

#include <slirp/libslirp.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static inline void cslirp_pollfds_fill(
    Slirp *slirp, uint32_t *timeout, SlirpAddPollCb add, void *opaque) {
    slirp_pollfds_fill(slirp, timeout, add, opaque);
}

#pragma GCC diagnostic pop

#endif
