/*
 * AES-GCM for small cores, in the place that mbedTLS keeps for hardware (MBEDTLS_GCM_ALT): 32-bit
 * words, no unaligned access, no heap, and a context of 540 bytes. Nonces of 12 bytes and tags of
 * 16 alone. The table of multiples is read at secret indices, as mbedTLS's own is: for cores
 * without a data cache.
 */
#ifndef GCM_ALT_H
#define GCM_ALT_H

#include <mbedtls/aes.h>
#include <stdint.h>

typedef struct mbedtls_gcm_context {
    uint32_t multiples[16][4]; /* of H by every polynomial of 4 bits; first: the index is scaled */
    mbedtls_aes_context aes;
} mbedtls_gcm_context;

#endif
