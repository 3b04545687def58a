#include "ghash.h"

/*
 * Carry-less products from the integer multiplier: the bits of each operand are spread over parts
 * with holes between them, so wide that the sums of a column do not reach the next one. The lowest
 * bit of a column is then what an addition without carries gives.
 */
#if defined(GHASH_SHORT_PRODUCTS) || defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_7M__)
/*
 * Cortex-M0 to M3 have no long product, or one whose time depends on its operands: products of 16
 * bits, in three parts of at most 6 bits with holes of two, which fit into a word.
 */
static uint32_t product16(uint32_t a, uint32_t b) {
    uint32_t a0 = a & 0x9249, a1 = a & 0x2492, a2 = a & 0x4924;
    uint32_t b0 = b & 0x9249, b1 = b & 0x2492, b2 = b & 0x4924;
    uint32_t p0 = a0 * b0 ^ a1 * b2 ^ a2 * b1;
    uint32_t p1 = a0 * b1 ^ a1 * b0 ^ a2 * b2;
    uint32_t p2 = a0 * b2 ^ a1 * b1 ^ a2 * b0;
    return (p0 & 0x49249249u) | (p1 & 0x92492492u) | (p2 & 0x24924924u);
}

static uint64_t product(uint32_t a, uint32_t b) {
    uint32_t high = product16(a >> 16, b >> 16), low = product16(a, b);
    uint32_t middle = product16(a ^ a >> 16, b ^ b >> 16) ^ high ^ low;
    return (uint64_t)(high ^ middle >> 16) << 32 | (low ^ middle << 16);
}
#else
/*
 * Four parts of 8 bits with holes of three. Two products whose columns are shifted by one against
 * each other may be added up: no column gets more than 15.
 */
static uint64_t product(uint32_t a, uint32_t b) {
    const uint32_t mask = 0x11111111u;
    uint32_t a0 = a & mask, a1 = a & mask << 1, a2 = a & mask << 2, a3 = a & mask << 3;
    uint32_t b0 = b & mask, b1 = b & mask << 1, b2 = b & mask << 2, b3 = b & mask << 3;
#define TIMES(x, y) ((uint64_t)(x) * (y))
    uint64_t p0 = (TIMES(a0, b0) + TIMES(a1, b3)) ^ TIMES(a2, b2) ^ TIMES(a3, b1);
    uint64_t p1 = (TIMES(a0, b1) + TIMES(a2, b3)) ^ (TIMES(a1, b0) + TIMES(a3, b2));
    uint64_t p2 = (TIMES(a0, b2) + TIMES(a3, b3)) ^ TIMES(a1, b1) ^ TIMES(a2, b0);
    uint64_t p3 = TIMES(a0, b3) ^ TIMES(a1, b2) ^ TIMES(a2, b1) ^ TIMES(a3, b0);
#undef TIMES
    return (p0 & UINT64_C(0x1111111111111111)) | (p1 & UINT64_C(0x2222222222222222)) |
           (p2 & UINT64_C(0x4444444444444444)) | (p3 & UINT64_C(0x8888888888888888));
}
#endif

/* Two words by two, after Karatsuba. */
static void product64(uint32_t out[4], uint32_t a0, uint32_t a1, uint32_t b0, uint32_t b1) {
    uint64_t high = product(a0, b0), low = product(a1, b1);
    uint64_t middle = product(a0 ^ a1, b0 ^ b1) ^ high ^ low;
    out[0] = (uint32_t)(high >> 32);
    out[1] = (uint32_t)high ^ (uint32_t)(middle >> 32);
    out[2] = (uint32_t)(low >> 32) ^ (uint32_t)middle;
    out[3] = (uint32_t)low;
}

void ghash_prepare(uint32_t h[4]) {
    /* 1 / x = x^127 + x^6 + x + 1 */
    uint32_t carry = 0 - (h[0] >> 31);
    for (int w = 0; w < 3; w++)
        h[w] = h[w] << 1 | h[w + 1] >> 31;
    h[3] <<= 1;
    h[0] ^= carry & 0xc2000000u;
    h[3] ^= carry & 1;
}

/* With x^128 = x^7 + x^2 + x + 1. */
void ghash_multiply(uint32_t y[4], const uint32_t h[4]) {
    uint32_t p[8], middle[4];
    product64(p, y[0], y[1], h[0], h[1]);
    product64(p + 4, y[2], y[3], h[2], h[3]);
    product64(middle, y[0] ^ y[2], y[1] ^ y[3], h[0] ^ h[2], h[1] ^ h[3]);
    uint32_t inner0 = p[2] ^ p[4], inner1 = p[3] ^ p[5];
    p[2] = inner0 ^ p[0] ^ middle[0];
    p[3] = inner1 ^ p[1] ^ middle[1];
    p[4] = inner0 ^ p[6] ^ middle[2];
    p[5] = inner1 ^ p[7] ^ middle[3];
    for (int w = 3; w >= 0; w--) {
        uint32_t v = p[w + 4];
        p[w] ^= v ^ v >> 1 ^ v >> 2 ^ v >> 7;
        p[w + 1] ^= v << 31 ^ v << 30 ^ v << 25;
    }
    y[0] = p[0];
    y[1] = p[1];
    y[2] = p[2];
    y[3] = p[3];
}
