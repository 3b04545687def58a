/*
 * What the engine asks of a crypto library: HMAC-SHA256, SHA-256, AES-256-GCM, AES-256-CTR. One
 * file implements it; another backend takes its place by implementing these functions.
 *
 * The contexts are opaque storage that the caller owns, so that the library's own types stay out
 * of every other file. A context holds keys: each is ended by its `clear`. `clear` of a zeroed
 * context is allowed. All functions return OURO_ERR_CRYPTO when the library fails.
 */
#ifndef OURO_CRYPTO_H
#define OURO_CRYPTO_H

#include "ouroboros/aead.h"
#include "ouroboros/secret.h"
#include "ouroboros/status.h"
#include <stddef.h>
#include <stdint.h>

typedef struct ouro_span {
    const uint8_t *data;
    size_t len;
} ouro_span;

/* An HMAC key with both of its pads absorbed, as SHA-256 states: each MAC then costs no padding. */
typedef struct ouro_hmac {
    uint32_t inner[8], outer[8];
} ouro_hmac;

/* The AES-256 key schedule of a keystream. */
typedef struct ouro_keystream {
    uint64_t opaque[36];
} ouro_keystream;

OURO_CHECKED ouro_status ouro_hmac_init(ouro_hmac *hmac, const uint8_t key[32]);
OURO_CHECKED ouro_status ouro_hmac_mac(const ouro_hmac *hmac, const ouro_span *parts, size_t count,
                                       uint8_t mac[32]);
void ouro_hmac_clear(ouro_hmac *hmac);

OURO_CHECKED ouro_status ouro_sha256(const ouro_span *parts, size_t count, uint8_t digest[32]);

OURO_CHECKED ouro_status ouro_aead_init(ouro_aead *aead, const uint8_t key[32]);
/* Encrypts `data` in place. */
OURO_CHECKED ouro_status ouro_aead_seal(ouro_aead *aead, const uint8_t nonce[12],
                                        const uint8_t *aad, size_t aad_len, uint8_t *data,
                                        size_t len, uint8_t tag[16]);
/* Decrypts `data` in place; OURO_DROP_AUTH and zeroed data when the tag does not verify. */
OURO_CHECKED ouro_status ouro_aead_open(ouro_aead *aead, const uint8_t nonce[12],
                                        const uint8_t *aad, size_t aad_len, uint8_t *data,
                                        size_t len, const uint8_t tag[16]);
void ouro_aead_clear(ouro_aead *aead);
/* The same with a key that is used once: its schedule stands on the stack meanwhile. */
OURO_CHECKED ouro_status ouro_aead_seal_once(const uint8_t key[32], const uint8_t nonce[12],
                                             const uint8_t *aad, size_t aad_len, uint8_t *data,
                                             size_t len, uint8_t tag[16]);
OURO_CHECKED ouro_status ouro_aead_open_once(const uint8_t key[32], const uint8_t nonce[12],
                                             const uint8_t *aad, size_t aad_len, uint8_t *data,
                                             size_t len, const uint8_t tag[16]);

OURO_CHECKED ouro_status ouro_keystream_init(ouro_keystream *stream, const uint8_t key[32]);
/* `len` bytes of AES-256-CTR keystream from byte `offset` on, the first counter block zero. */
OURO_CHECKED ouro_status ouro_keystream_read(ouro_keystream *stream, size_t offset, uint8_t *out,
                                             size_t len);
void ouro_keystream_clear(ouro_keystream *stream);

#endif
