/*
 * The firmware's multiplication of GHASH: right, also where the columns of its integer products are
 * fullest, and without a branch or an address that depends on a block or on the hash key.
 */
#include "ghash.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

enum { WORDS = 4, RANDOM_PAIRS = 2000 };

/* Bit by bit, as NIST SP 800-38D writes it down (6.3). */
static void multiply_slowly(uint32_t y[WORDS], const uint32_t h[WORDS]) {
    uint32_t z[WORDS] = {0}, v[WORDS];
    memcpy(v, h, sizeof v);
    for (int bit = 0; bit < 32 * WORDS; bit++) {
        uint32_t out = v[3] & 1;
        if (y[bit / 32] >> (31 - bit % 32) & 1)
            for (int w = 0; w < WORDS; w++)
                z[w] ^= v[w];
        for (int w = WORDS - 1; w > 0; w--)
            v[w] = v[w] >> 1 | v[w - 1] << 31;
        v[0] >>= 1;
        v[0] ^= out ? 0xe1000000u : 0;
    }
    memcpy(y, z, sizeof z);
}

static void same(const uint32_t a[WORDS], const uint32_t b[WORDS]) {
    uint32_t want[WORDS], got[WORDS], key[WORDS];
    memcpy(want, a, sizeof want);
    multiply_slowly(want, b);
    memcpy(got, a, sizeof got);
    memcpy(key, b, sizeof key);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(got, sizeof got);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(key, sizeof key);
    ghash_prepare(key);
    ghash_multiply(got, key);
    (void)VALGRIND_MAKE_MEM_DEFINED(got, sizeof got);
    if (memcmp(want, got, sizeof want) != 0) {
        fprintf(stderr, "a product of GHASH is wrong: %08x... by %08x...\n", a[0], b[0]);
        exit(EXIT_FAILURE);
    }
}

static uint32_t next_random(void) {
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 32);
}

int main(void) {
    static const uint32_t fill[] = {0xffffffffu, 0x11111111u, 0x88888888u, 0x80000000u, 1, 0};
    enum { FILLS = sizeof fill / sizeof fill[0] };
    uint32_t a[WORDS], b[WORDS];
    for (int i = 0; i < FILLS * FILLS; i++) {
        for (int w = 0; w < WORDS; w++) {
            a[w] = fill[i / FILLS];
            b[w] = fill[i % FILLS];
        }
        same(a, b);
    }
    for (int i = 0; i < RANDOM_PAIRS; i++) {
        for (int w = 0; w < WORDS; w++) {
            a[w] = next_random();
            b[w] = next_random() | (i % 2 ? 0 : next_random());
        }
        same(a, b);
    }
    printf("ghash: %d products\n", FILLS * FILLS + RANDOM_PAIRS);
    return EXIT_SUCCESS;
}
