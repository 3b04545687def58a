/*
 * One SHA-256 compression (FIPS 180-4 6.2.2) for small cores, in the place that mbedTLS keeps for
 * hardware (MBEDTLS_SHA256_PROCESS_ALT): a schedule of 16 words instead of 64, rotations that fold
 * into the additions of ARM.
 */
#include <mbedtls/sha256.h>
#include <stdint.h>
#include <string.h>

#ifndef MBEDTLS_PRIVATE
#define MBEDTLS_PRIVATE(member) member
#endif

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#define RIGHT(x, n) ((x) >> (n) | (x) << (32 - (n)))
/* The rotations by 6, 11, 25 and by 2, 13, 22, with what they share outside. */
#define BIG_1(x) RIGHT((x) ^ RIGHT(x, 5) ^ RIGHT(x, 19), 6)
#define BIG_0(x) RIGHT((x) ^ RIGHT(x, 11) ^ RIGHT(x, 20), 2)
#define SMALL_0(x) (RIGHT(x, 7) ^ RIGHT(x, 18) ^ (x) >> 3)
#define SMALL_1(x) (RIGHT(x, 17) ^ RIGHT(x, 19) ^ (x) >> 10)
/*
 * The majority of a, b, c is b ^ ((a ^ b) & (b ^ c)), and b ^ c was the round before's a ^ b: it is
 * handed on in `before`, this round's in `now`.
 */
#define ROUND(a, b, c, d, e, f, g, h, i, now, before)                                              \
    do {                                                                                           \
        h += w[i] + k[t + (i)] + ((g) ^ ((e) & ((f) ^ (g))));                                      \
        h += BIG_1(e);                                                                             \
        d += h;                                                                                    \
        now = (a) ^ (b);                                                                           \
        h += (b) ^ (now & before);                                                                 \
        h += BIG_0(a);                                                                             \
    } while (0)
#define NEXT(i) w[i] += SMALL_0(w[((i) + 1) % 16]) + w[((i) + 9) % 16] + SMALL_1(w[((i) + 14) % 16])
#define EIGHT(i)                                                                                   \
    ROUND(a, b, c, d, e, f, g, h, i, m, n);                                                        \
    ROUND(h, a, b, c, d, e, f, g, (i) + 1, n, m);                                                  \
    ROUND(g, h, a, b, c, d, e, f, (i) + 2, m, n);                                                  \
    ROUND(f, g, h, a, b, c, d, e, (i) + 3, n, m);                                                  \
    ROUND(e, f, g, h, a, b, c, d, (i) + 4, m, n);                                                  \
    ROUND(d, e, f, g, h, a, b, c, (i) + 5, n, m);                                                  \
    ROUND(c, d, e, f, g, h, a, b, (i) + 6, m, n);                                                  \
    ROUND(b, c, d, e, f, g, h, a, (i) + 7, n, m)

/*
 * The schedule takes the place of the context's buffer: what stands there is the block itself, or
 * nothing, and it is written anew before it is read. Bytes and words look at the same memory.
 */
#ifdef __GNUC__
typedef uint32_t __attribute__((may_alias)) any_word;
#else
typedef uint32_t any_word;
#endif

/* GCC would add up in an order of its own, which takes more rotations. */
#if defined(__GNUC__) && !defined(__clang__)
#define AS_WRITTEN __attribute__((noinline, optimize("no-tree-reassoc")))
#else
#define AS_WRITTEN
#endif

AS_WRITTEN static void expand(any_word *w) {
    NEXT(0);
    NEXT(1);
    NEXT(2);
    NEXT(3);
    NEXT(4);
    NEXT(5);
    NEXT(6);
    NEXT(7);
    NEXT(8);
    NEXT(9);
    NEXT(10);
    NEXT(11);
    NEXT(12);
    NEXT(13);
    NEXT(14);
    NEXT(15);
}

/* The block's big-endian words; `data` may be where they go. */
static void load_block(any_word *w, const unsigned char *data) {
    if ((const void *)data != (const void *)w)
        memcpy((void *)w, data, 64);
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_BIG_ENDIAN__
    for (int i = 0; i < 16; i++)
        w[i] = w[i] >> 24 | (w[i] >> 8 & 0xff00) | (w[i] & 0xff00) << 8 | w[i] << 24;
#endif
}

AS_WRITTEN int mbedtls_internal_sha256_process(mbedtls_sha256_context *ctx,
                                               const unsigned char data[64]) {
    uint32_t *state = ctx->MBEDTLS_PRIVATE(state);
    any_word *w = (any_word *)(void *)ctx->MBEDTLS_PRIVATE(buffer);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    uint32_t m, n = b ^ c;
    load_block(w, data);
    for (int t = 0;; t += 16) {
        EIGHT(0);
        EIGHT(8);
        if (t == 48)
            break;
        expand(w);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
    return 0;
}
