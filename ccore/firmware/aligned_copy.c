/*
 * newlib's memcpy for ARMv7-M makes unaligned accesses, which the images trap: this one, for the
 * tests, makes none. A board that allows them has no use for it.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORD sizeof(uint32_t)

/* Or the compiler sees memcpy in the loops below. */
#define AS_WRITTEN __attribute__((optimize("no-tree-loop-distribute-patterns")))

/* The optimiser may take words for whatever the bytes are. */
typedef uint32_t __attribute__((may_alias)) any_word;

AS_WRITTEN void *memcpy(void *restrict to, const void *restrict from, size_t len) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) % WORD) == 0)
        for (; len >= WORD; len -= WORD, t += WORD, f += WORD)
            *(any_word *)(void *)t = *(const any_word *)(const void *)f;
    while (len-- > 0)
        *t++ = *f++;
    return to;
}

AS_WRITTEN void *memmove(void *to, const void *from, size_t len) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if (t <= f || t >= f + len)
        while (len-- > 0)
            *t++ = *f++;
    else
        while (len-- > 0)
            t[len] = f[len];
    return to;
}
