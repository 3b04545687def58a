/* The one file that knows mbedTLS. Builds against 2.28 and 3.6. */
#include "crypto.h"

#include "bytes.h"
#include "declassify.h"
#include "ouroboros/ratchet.h"
#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>
#include <string.h>

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define sha256_starts mbedtls_sha256_starts
#define sha256_update mbedtls_sha256_update
#define sha256_finish mbedtls_sha256_finish
#else
#define sha256_starts mbedtls_sha256_starts_ret
#define sha256_update mbedtls_sha256_update_ret
#define sha256_finish mbedtls_sha256_finish_ret
#endif

#define SHA256_BLOCK 64

typedef struct hmac_pads {
    mbedtls_sha256_context inner, outer;
} hmac_pads;

/* C99 has no static assertion: an array of a negative size stops the build. */
typedef char hmac_fits[sizeof(hmac_pads) <= sizeof(ouro_hmac) ? 1 : -1];
typedef char aead_fits[sizeof(mbedtls_gcm_context) <= sizeof(ouro_aead) ? 1 : -1];
typedef char keystream_fits[sizeof(mbedtls_aes_context) <= sizeof(ouro_keystream) ? 1 : -1];

static hmac_pads *pads_of(ouro_hmac *hmac) {
    return (hmac_pads *)(void *)hmac->opaque;
}

static mbedtls_gcm_context *gcm_of(ouro_aead *aead) {
    return (mbedtls_gcm_context *)(void *)aead->opaque;
}

static mbedtls_aes_context *aes_of(ouro_keystream *stream) {
    return (mbedtls_aes_context *)(void *)stream->opaque;
}

static int absorb(mbedtls_sha256_context *sha, const ouro_span *parts, size_t count) {
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++)
        failed = sha256_update(sha, parts[i].data, parts[i].len);
    return failed;
}

static int pad_init(mbedtls_sha256_context *sha, const uint8_t key[32], uint8_t pad) {
    uint8_t block[SHA256_BLOCK];
    memset(block, pad, sizeof block);
    for (size_t i = 0; i < OURO_KEY_SIZE; i++)
        block[i] = (uint8_t)(key[i] ^ pad);
    mbedtls_sha256_init(sha);
    int failed = sha256_starts(sha, 0);
    if (!failed)
        failed = sha256_update(sha, block, sizeof block);
    ouro_erase(block, sizeof block);
    return failed;
}

ouro_status ouro_hmac_init(ouro_hmac *hmac, const uint8_t key[32]) {
    hmac_pads *pads = pads_of(hmac);
    int failed = pad_init(&pads->inner, key, 0x36);
    failed |= pad_init(&pads->outer, key, 0x5c);
    if (failed)
        ouro_hmac_clear(hmac);
    return failed ? OURO_ERR_CRYPTO : OURO_OK;
}

ouro_status ouro_hmac_mac(const ouro_hmac *hmac, const ouro_span *parts, size_t count,
                          uint8_t mac[32]) {
    const hmac_pads *pads = (const hmac_pads *)(const void *)hmac->opaque;
    mbedtls_sha256_context sha;
    mbedtls_sha256_init(&sha);
    mbedtls_sha256_clone(&sha, &pads->inner);
    int failed = absorb(&sha, parts, count);
    if (!failed)
        failed = sha256_finish(&sha, mac);
    mbedtls_sha256_clone(&sha, &pads->outer);
    if (!failed)
        failed = sha256_update(&sha, mac, 32);
    if (!failed)
        failed = sha256_finish(&sha, mac);
    mbedtls_sha256_free(&sha);
    if (failed)
        ouro_erase(mac, 32);
    return failed ? OURO_ERR_CRYPTO : OURO_OK;
}

void ouro_hmac_clear(ouro_hmac *hmac) {
    ouro_erase(hmac, sizeof *hmac);
}

ouro_status ouro_sha256(const ouro_span *parts, size_t count, uint8_t digest[32]) {
    mbedtls_sha256_context sha;
    mbedtls_sha256_init(&sha);
    int failed = sha256_starts(&sha, 0);
    if (!failed)
        failed = absorb(&sha, parts, count);
    if (!failed)
        failed = sha256_finish(&sha, digest);
    mbedtls_sha256_free(&sha);
    if (failed)
        ouro_erase(digest, 32);
    return failed ? OURO_ERR_CRYPTO : OURO_OK;
}

ouro_status ouro_aead_init(ouro_aead *aead, const uint8_t key[32]) {
    mbedtls_gcm_init(gcm_of(aead));
    if (mbedtls_gcm_setkey(gcm_of(aead), MBEDTLS_CIPHER_ID_AES, key, 256) != 0) {
        ouro_aead_clear(aead);
        return OURO_ERR_CRYPTO;
    }
    return OURO_OK;
}

ouro_status ouro_aead_seal(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                           size_t aad_len, uint8_t *data, size_t len, uint8_t tag[16]) {
    if (mbedtls_gcm_crypt_and_tag(gcm_of(aead), MBEDTLS_GCM_ENCRYPT, len, nonce, 12, aad, aad_len,
                                  data, data, 16, tag) != 0) {
        ouro_erase(data, len);
        ouro_erase(tag, 16);
        return OURO_ERR_CRYPTO;
    }
    return OURO_OK;
}

ouro_status ouro_aead_open(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                           size_t aad_len, uint8_t *data, size_t len, const uint8_t tag[16]) {
    int result =
        mbedtls_gcm_auth_decrypt(gcm_of(aead), len, nonce, 12, aad, aad_len, tag, 16, data, data);
    declassify(&result, sizeof result);
    if (result == 0)
        return OURO_OK;
    ouro_erase(data, len);
    return result == MBEDTLS_ERR_GCM_AUTH_FAILED ? OURO_DROP_AUTH : OURO_ERR_CRYPTO;
}

void ouro_aead_clear(ouro_aead *aead) {
    mbedtls_gcm_free(gcm_of(aead));
    ouro_erase(aead, sizeof *aead);
}

ouro_status ouro_keystream_init(ouro_keystream *stream, const uint8_t key[32]) {
    mbedtls_aes_init(aes_of(stream));
    if (mbedtls_aes_setkey_enc(aes_of(stream), key, 256) != 0) {
        ouro_keystream_clear(stream);
        return OURO_ERR_CRYPTO;
    }
    return OURO_OK;
}

/* Whole blocks go straight to their place; the library's CTR mode would XOR them byte by byte. */
ouro_status ouro_keystream_read(ouro_keystream *stream, size_t offset, uint8_t *out, size_t len) {
    uint8_t counter[16] = {0}, block[16] = {0};
    int failed = 0;
    for (size_t done = 0; done < len && !failed;) {
        size_t within = (offset + done) % 16;
        size_t count = len - done < 16 - within ? len - done : 16 - within;
        uint8_t *to = count == 16 ? out + done : block;
        store_u32(counter + 12, (uint32_t)((offset + done) / 16));
        failed = mbedtls_aes_crypt_ecb(aes_of(stream), MBEDTLS_AES_ENCRYPT, counter, to);
        if (count < 16)
            memcpy(out + done, block + within, count);
        done += count;
    }
    ouro_erase(block, sizeof block);
    if (failed)
        ouro_erase(out, len);
    return failed ? OURO_ERR_CRYPTO : OURO_OK;
}

void ouro_keystream_clear(ouro_keystream *stream) {
    mbedtls_aes_free(aes_of(stream));
    ouro_erase(stream, sizeof *stream);
}
