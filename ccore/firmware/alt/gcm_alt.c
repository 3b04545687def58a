/* NIST SP 800-38D. */
#include "ghash.h"
#include <mbedtls/gcm.h>
#include <string.h>

enum { BLOCK = 16, NONCE = 12, TAG = 16 };

#define LOAD(p)                                                                                    \
    ((uint32_t)(p)[0] << 24 | (uint32_t)(p)[1] << 16 | (uint32_t)(p)[2] << 8 | (uint32_t)(p)[3])

static void store(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* The compiler is made to believe that somebody reads the zeros. */
static void erase(void *secret, size_t len) {
    memset(secret, 0, len);
    __asm__ __volatile__("" : : "r"(secret) : "memory");
}

void mbedtls_gcm_init(mbedtls_gcm_context *ctx) {
    mbedtls_aes_init(&ctx->aes);
}

void mbedtls_gcm_free(mbedtls_gcm_context *ctx) {
    if (ctx != NULL)
        erase(ctx, sizeof *ctx);
}

int mbedtls_gcm_setkey(mbedtls_gcm_context *ctx, mbedtls_cipher_id_t cipher,
                       const unsigned char *key, unsigned int keybits) {
    uint8_t h[BLOCK] = {0};
    (void)cipher;
    int failed = mbedtls_aes_setkey_enc(&ctx->aes, key, keybits);
    if (!failed)
        failed = mbedtls_aes_crypt_ecb(&ctx->aes, MBEDTLS_AES_ENCRYPT, h, h);
    for (int w = 0; w < 4; w++)
        ctx->h[w] = LOAD(h + 4 * w);
    ghash_prepare(ctx->h);
    erase(h, sizeof h);
    return failed;
}

/* The last block is filled with zeros. */
static void absorb(const mbedtls_gcm_context *ctx, uint32_t y[4], const uint8_t *data, size_t len) {
    uint8_t rest[BLOCK] = {0};
    while (len > 0) {
        size_t count = len < BLOCK ? len : BLOCK;
        const uint8_t *from = data;
        if (count < BLOCK)
            from = memcpy(rest, data, count);
        for (int w = 0; w < 4; w++)
            y[w] ^= LOAD(from + 4 * w);
        ghash_multiply(y, ctx->h);
        data += count;
        len -= count;
    }
}

/* Bytes and words look at the same memory. */
#ifdef __GNUC__
typedef uint32_t __attribute__((may_alias)) any_word;
#else
typedef uint32_t any_word;
#endif

static void exclusive_or(uint8_t *out, const uint8_t *in, const any_word stream[4], size_t count) {
    const uint8_t *bytes = (const uint8_t *)stream;
    if (count == BLOCK && ((uintptr_t)in | (uintptr_t)out) % 4 == 0)
        for (int w = 0; w < 4; w++)
            ((any_word *)(void *)out)[w] = ((const any_word *)(const void *)in)[w] ^ stream[w];
    else
        for (size_t i = 0; i < count; i++)
            out[i] = in[i] ^ bytes[i];
}

/* Counter mode from counter 2 on; in place is allowed. */
static int apply(mbedtls_gcm_context *ctx, uint8_t counter[BLOCK], const uint8_t *in, uint8_t *out,
                 size_t len) {
    any_word stream[BLOCK / 4];
    int failed = 0;
    for (uint32_t number = 2; len > 0 && !failed; number++) {
        size_t count = len < BLOCK ? len : BLOCK;
        store(counter + NONCE, number);
        failed = mbedtls_aes_crypt_ecb(&ctx->aes, MBEDTLS_AES_ENCRYPT, counter, (uint8_t *)stream);
        exclusive_or(out, in, stream, count);
        out += count;
        in += count;
        len -= count;
    }
    erase(stream, sizeof stream);
    return failed;
}

/* The tag of what was absorbed: the lengths, then the block of counter 1 over it. */
static int finish(mbedtls_gcm_context *ctx, uint8_t counter[BLOCK], uint32_t y[4], size_t aad_len,
                  size_t len, uint8_t tag[TAG]) {
    uint8_t mask[BLOCK];
    /* Lengths in bits, below 2^32. */
    y[1] ^= (uint32_t)aad_len * 8;
    y[3] ^= (uint32_t)len * 8;
    ghash_multiply(y, ctx->h);
    store(counter + NONCE, 1);
    int failed = mbedtls_aes_crypt_ecb(&ctx->aes, MBEDTLS_AES_ENCRYPT, counter, mask);
    for (int w = 0; w < 4; w++)
        store(tag + 4 * w, y[w] ^ LOAD(mask + 4 * w));
    erase(mask, sizeof mask);
    return failed;
}

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *ctx, int mode, size_t length,
                              const unsigned char *iv, size_t iv_len, const unsigned char *add,
                              size_t add_len, const unsigned char *input, unsigned char *output,
                              size_t tag_len, unsigned char *tag) {
    uint8_t counter[BLOCK];
    uint32_t y[4] = {0};
    if (iv_len != NONCE || tag_len != TAG)
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    memcpy(counter, iv, NONCE);
    absorb(ctx, y, add, add_len);
    if (mode == MBEDTLS_GCM_DECRYPT)
        absorb(ctx, y, input, length);
    int failed = apply(ctx, counter, input, output, length);
    if (mode == MBEDTLS_GCM_ENCRYPT)
        absorb(ctx, y, output, length);
    failed |= finish(ctx, counter, y, add_len, length, tag);
    erase(y, sizeof y);
    return failed;
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *ctx, size_t length, const unsigned char *iv,
                             size_t iv_len, const unsigned char *add, size_t add_len,
                             const unsigned char *tag, size_t tag_len, const unsigned char *input,
                             unsigned char *output) {
    uint8_t own[TAG];
    volatile uint8_t difference = 0;
    int failed = mbedtls_gcm_crypt_and_tag(ctx, MBEDTLS_GCM_DECRYPT, length, iv, iv_len, add,
                                           add_len, input, output, tag_len, own);
    for (int i = 0; i < TAG; i++)
        difference = (uint8_t)(difference | (own[i] ^ tag[i]));
    erase(own, sizeof own);
    if (!failed && difference == 0)
        return 0;
    erase(output, length);
    return failed != 0 ? failed : MBEDTLS_ERR_GCM_AUTH_FAILED;
}
