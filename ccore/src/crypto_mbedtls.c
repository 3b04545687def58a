/* The one file that knows mbedTLS. Builds against 2.28 and 3.6. */
#include "crypto.h"

#include "bytes.h"
#include "declassify.h"
#include "ouroboros/secret.h"
#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>
#include <string.h>

/* 3.6 marks the members of its contexts, 2.28 does not. */
#ifndef MBEDTLS_PRIVATE
#define MBEDTLS_PRIVATE(member) member
#endif

enum { SHA256_BLOCK = 64, SHA256_LENGTH_AT = 56 };

/* C99 has no static assertion: an array of a negative size stops the build. */
typedef char aead_fits[sizeof(mbedtls_gcm_context) <= sizeof(ouro_aead) ? 1 : -1];
typedef char keystream_fits[sizeof(mbedtls_aes_context) <= sizeof(ouro_keystream) ? 1 : -1];

static mbedtls_gcm_context *gcm_of(ouro_aead *aead) {
    return (mbedtls_gcm_context *)(void *)aead->opaque;
}

static mbedtls_aes_context *aes_of(ouro_keystream *stream) {
    return (mbedtls_aes_context *)(void *)stream->opaque;
}

#if defined(MBEDTLS_SHA256_ALT) || defined(OURO_SHA256_OPAQUE)
/*
 * A context of a chip's own making cannot be taken apart: HMAC keeps its key, and absorbs it anew.
 * OURO_SHA256_OPAQUE is for testing this where there is no such chip.
 */
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define sha256_starts mbedtls_sha256_starts
#define sha256_update mbedtls_sha256_update
#define sha256_finish mbedtls_sha256_finish
#else
#define sha256_starts mbedtls_sha256_starts_ret
#define sha256_update mbedtls_sha256_update_ret
#define sha256_finish mbedtls_sha256_finish_ret
#endif

static void prepare(mbedtls_sha256_context *sha) {
    mbedtls_sha256_init(sha);
}

static void forget(mbedtls_sha256_context *sha) {
    mbedtls_sha256_free(sha);
}

static int begin(mbedtls_sha256_context *sha) {
    return sha256_starts(sha, 0);
}

static int feed(mbedtls_sha256_context *sha, const uint8_t *data, size_t len) {
    return sha256_update(sha, data, len);
}

static int finish(mbedtls_sha256_context *sha, uint8_t digest[32]) {
    return sha256_finish(sha, digest);
}

static int absorb_pad(mbedtls_sha256_context *sha, const uint8_t *key, uint8_t pad) {
    uint8_t block[SHA256_BLOCK];
    for (size_t i = 0; i < SHA256_BLOCK; i++)
        block[i] = (uint8_t)((i < OURO_KEY_SIZE ? key[i] : 0) ^ pad);
    int failed = begin(sha);
    if (!failed)
        failed = feed(sha, block, sizeof block);
    ouro_erase(block, sizeof block);
    return failed;
}

ouro_status ouro_hmac_init(ouro_hmac *hmac, const uint8_t key[32]) {
    memcpy(hmac, key, OURO_KEY_SIZE);
    return OURO_OK;
}

static int take_up(mbedtls_sha256_context *sha, const ouro_hmac *hmac, bool outer) {
    return absorb_pad(sha, (const uint8_t *)(const void *)hmac, outer ? 0x5c : 0x36);
}
#else
/*
 * Whole blocks go straight to the compression. A key's pads are kept as the states that they lead
 * to: 64 bytes a key, and a message key costs two compressions.
 */
static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static int compress(mbedtls_sha256_context *sha) {
    return mbedtls_internal_sha256_process(sha, sha->MBEDTLS_PRIVATE(buffer));
}

/* Whatever of the context is read was written before. */
static void prepare(mbedtls_sha256_context *sha) {
    (void)sha;
}

static void forget(mbedtls_sha256_context *sha) {
    ouro_erase(sha, sizeof *sha);
}

static int begin(mbedtls_sha256_context *sha) {
    memcpy(sha->MBEDTLS_PRIVATE(state), initial, sizeof initial);
    sha->MBEDTLS_PRIVATE(total)[0] = 0;
    return 0;
}

static int feed(mbedtls_sha256_context *sha, const uint8_t *data, size_t len) {
    int failed = 0;
    while (len > 0 && !failed) {
        size_t at = sha->MBEDTLS_PRIVATE(total)[0] % SHA256_BLOCK;
        size_t count = len < SHA256_BLOCK - at ? len : SHA256_BLOCK - at;
        memcpy(sha->MBEDTLS_PRIVATE(buffer) + at, data, count);
        sha->MBEDTLS_PRIVATE(total)[0] += (uint32_t)count;
        if (at + count == SHA256_BLOCK)
            failed = compress(sha);
        data += count;
        len -= count;
    }
    return failed;
}

/* FIPS 180-4 5.1.1; what is hashed here is shorter than 2^29 bytes. */
static int finish(mbedtls_sha256_context *sha, uint8_t digest[32]) {
    uint8_t *block = sha->MBEDTLS_PRIVATE(buffer);
    size_t at = sha->MBEDTLS_PRIVATE(total)[0] % SHA256_BLOCK;
    int failed = 0;
    block[at++] = 0x80;
    if (at > SHA256_LENGTH_AT) {
        memset(block + at, 0, SHA256_BLOCK - at);
        failed = compress(sha);
        at = 0;
    }
    memset(block + at, 0, SHA256_BLOCK - at);
    store_u32(block + SHA256_BLOCK - 4, sha->MBEDTLS_PRIVATE(total)[0] * 8);
    if (!failed)
        failed = compress(sha);
    for (size_t i = 0; i < 8; i++)
        store_u32(digest + 4 * i, sha->MBEDTLS_PRIVATE(state)[i]);
    return failed;
}

static int absorb_pad(mbedtls_sha256_context *sha, const uint8_t *key, uint8_t pad) {
    uint8_t *block = sha->MBEDTLS_PRIVATE(buffer);
    memset(block, pad, SHA256_BLOCK);
    for (size_t i = 0; i < OURO_KEY_SIZE; i++)
        block[i] ^= key[i];
    (void)begin(sha);
    return compress(sha);
}

ouro_status ouro_hmac_init(ouro_hmac *hmac, const uint8_t key[32]) {
    mbedtls_sha256_context sha;
    int failed = absorb_pad(&sha, key, 0x36);
    memcpy(hmac->inner, sha.MBEDTLS_PRIVATE(state), sizeof hmac->inner);
    failed |= absorb_pad(&sha, key, 0x5c);
    memcpy(hmac->outer, sha.MBEDTLS_PRIVATE(state), sizeof hmac->outer);
    forget(&sha);
    if (failed)
        ouro_hmac_clear(hmac);
    return failed ? OURO_ERR_CRYPTO : OURO_OK;
}

static int take_up(mbedtls_sha256_context *sha, const ouro_hmac *hmac, bool outer) {
    memcpy(sha->MBEDTLS_PRIVATE(state), outer ? hmac->outer : hmac->inner, sizeof hmac->inner);
    sha->MBEDTLS_PRIVATE(total)[0] = SHA256_BLOCK;
    return 0;
}
#endif

static int absorb(mbedtls_sha256_context *sha, const ouro_span *parts, size_t count) {
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++)
        failed = feed(sha, parts[i].data, parts[i].len);
    return failed;
}

ouro_status ouro_hmac_mac(const ouro_hmac *hmac, const ouro_span *parts, size_t count,
                          uint8_t mac[32]) {
    mbedtls_sha256_context sha;
    prepare(&sha);
    int failed = take_up(&sha, hmac, false);
    if (!failed)
        failed = absorb(&sha, parts, count);
    if (!failed)
        failed = finish(&sha, mac);
    if (!failed)
        failed = take_up(&sha, hmac, true);
    if (!failed)
        failed = feed(&sha, mac, 32);
    if (!failed)
        failed = finish(&sha, mac);
    forget(&sha);
    if (failed)
        ouro_erase(mac, 32);
    return failed ? OURO_ERR_CRYPTO : OURO_OK;
}

void ouro_hmac_clear(ouro_hmac *hmac) {
    ouro_erase(hmac, sizeof *hmac);
}

ouro_status ouro_sha256(const ouro_span *parts, size_t count, uint8_t digest[32]) {
    mbedtls_sha256_context sha;
    prepare(&sha);
    int failed = begin(&sha);
    if (!failed)
        failed = absorb(&sha, parts, count);
    if (!failed)
        failed = finish(&sha, digest);
    forget(&sha);
    if (failed)
        ouro_erase(digest, 32);
    return failed ? OURO_ERR_CRYPTO : OURO_OK;
}

static int gcm_begin(mbedtls_gcm_context *gcm, const uint8_t key[32]) {
    mbedtls_gcm_init(gcm);
    return mbedtls_gcm_setkey(gcm, MBEDTLS_CIPHER_ID_AES, key, 256);
}

static ouro_status gcm_seal(mbedtls_gcm_context *gcm, const uint8_t nonce[12], const uint8_t *aad,
                            size_t aad_len, uint8_t *data, size_t len, uint8_t tag[16]) {
    if (mbedtls_gcm_crypt_and_tag(gcm, MBEDTLS_GCM_ENCRYPT, len, nonce, 12, aad, aad_len, data,
                                  data, 16, tag) == 0)
        return OURO_OK;
    ouro_erase(data, len);
    ouro_erase(tag, 16);
    return OURO_ERR_CRYPTO;
}

static ouro_status gcm_open(mbedtls_gcm_context *gcm, const uint8_t nonce[12], const uint8_t *aad,
                            size_t aad_len, uint8_t *data, size_t len, const uint8_t tag[16]) {
    int result = mbedtls_gcm_auth_decrypt(gcm, len, nonce, 12, aad, aad_len, tag, 16, data, data);
    declassify(&result, sizeof result);
    if (result == 0)
        return OURO_OK;
    ouro_erase(data, len);
    return result == MBEDTLS_ERR_GCM_AUTH_FAILED ? OURO_DROP_AUTH : OURO_ERR_CRYPTO;
}

ouro_status ouro_aead_init(ouro_aead *aead, const uint8_t key[32]) {
    if (gcm_begin(gcm_of(aead), key) == 0)
        return OURO_OK;
    ouro_aead_clear(aead);
    return OURO_ERR_CRYPTO;
}

ouro_status ouro_aead_seal(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                           size_t aad_len, uint8_t *data, size_t len, uint8_t tag[16]) {
    return gcm_seal(gcm_of(aead), nonce, aad, aad_len, data, len, tag);
}

ouro_status ouro_aead_open(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                           size_t aad_len, uint8_t *data, size_t len, const uint8_t tag[16]) {
    return gcm_open(gcm_of(aead), nonce, aad, aad_len, data, len, tag);
}

/* The library zeroes its whole context; what is left of the storage was never written. */
void ouro_aead_clear(ouro_aead *aead) {
    mbedtls_gcm_free(gcm_of(aead));
}

ouro_status ouro_aead_seal_once(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *aad,
                                size_t aad_len, uint8_t *data, size_t len, uint8_t tag[16]) {
    mbedtls_gcm_context gcm;
    ouro_status status = OURO_ERR_CRYPTO;
    if (gcm_begin(&gcm, key) == 0)
        status = gcm_seal(&gcm, nonce, aad, aad_len, data, len, tag);
    else
        ouro_erase(data, len);
    mbedtls_gcm_free(&gcm);
    return status;
}

ouro_status ouro_aead_open_once(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *aad,
                                size_t aad_len, uint8_t *data, size_t len, const uint8_t tag[16]) {
    mbedtls_gcm_context gcm;
    ouro_status status = OURO_ERR_CRYPTO;
    if (gcm_begin(&gcm, key) == 0)
        status = gcm_open(&gcm, nonce, aad, aad_len, data, len, tag);
    else
        ouro_erase(data, len);
    mbedtls_gcm_free(&gcm);
    return status;
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
}
