/*
 * The keyed permutation of a body's bytes (section 4): the swap-or-not shuffle, 16 rounds, in
 * place, in constant memory. Time and addresses depend on the length and on the public
 * pairing numbers, never on the bits that decide the exchanges.
 *
 * It hides the structure of the ciphertext; confidentiality rests on AES-256-GCM alone.
 */
#ifndef OUROBOROS_SCRAMBLE_H
#define OUROBOROS_SCRAMBLE_H

#include "ouroboros/status.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OURO_SCRAMBLE_ROUNDS 16
#define OURO_STREAM_SPARE 3 /* bytes past a keystream, which are read and not used */

/* `len` is 0 to 1200 bytes, or ERR_ARGUMENT; on ERR_CRYPTO the body is zeroed. */
OURO_CHECKED ouro_status ouro_scramble(const uint8_t key[32], uint8_t *body, size_t len);
OURO_CHECKED ouro_status ouro_unscramble(const uint8_t key[32], uint8_t *body, size_t len);

#ifdef __cplusplus
}
#endif

#endif
