/* The lesser and the greater; times that are kept short, or far apart. */
#ifndef OURO_NUMBERS_H
#define OURO_NUMBERS_H

#include <stdint.h>

#define OURO_MIN(a, b) ((a) < (b) ? (a) : (b))
#define OURO_MAX(a, b) ((a) > (b) ? (a) : (b))

/* The time that was kept modulo 2^32, less than 49 days ago. */
static inline uint64_t ouro_then(uint64_t now, uint32_t kept) {
    uint32_t ago = (uint32_t)now - kept;
    return now >= ago ? now - ago : 0;
}

/* A time that long after another; OURO_NEVER where the sum is past all time. */
static inline uint64_t ouro_after(uint64_t time, uint64_t period) {
    return period < UINT64_MAX - time ? time + period : UINT64_MAX;
}

/* When what goes once a period may go again; `last` is 0 when it never went. */
static inline uint64_t ouro_again(uint64_t last, uint64_t period) {
    return last == 0 ? 0 : last + period;
}

#endif
