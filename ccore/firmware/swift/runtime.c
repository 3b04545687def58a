/* What Embedded Swift asks of the C library beyond newlib and picolibc. */
#include "runtime.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void arc4random_buf(void *out, size_t len);
int posix_memalign(void **out, size_t alignment, size_t len);

/*
 * These machines have no random number generator: a sequence that is the same in each run, for a
 * test that talks to nobody. A device takes its hardware's generator here.
 */
void arc4random_buf(void *out, size_t len) {
    static uint32_t state = 7;
    uint8_t *bytes = out;
    while (len-- > 0) {
        state = state * 1664525u + 1013904223u;
        *bytes++ = (uint8_t)(state >> 24);
    }
}

int posix_memalign(void **out, size_t alignment, size_t len) {
    *out = memalign(alignment, len);
    return *out == NULL ? ENOMEM : 0;
}

/* The allocator gives nothing back: what it has is the most that it had. */
size_t runtime_heap_bytes(void) {
    return (size_t)mallinfo().arena;
}
