/*
 * AES-GCM for small cores, in the place that mbedTLS keeps for hardware (MBEDTLS_GCM_ALT): 32-bit
 * words, no unaligned access, no heap, no table of its own. Nonces of 12 bytes and tags of 16
 * alone.
 */
#ifndef GCM_ALT_H
#define GCM_ALT_H

#include <mbedtls/aes.h>
#include <stdint.h>

typedef struct mbedtls_gcm_context {
    uint32_t h[4]; /* the hash key, made ready by ghash_prepare */
    mbedtls_aes_context aes;
} mbedtls_gcm_context;

#endif
