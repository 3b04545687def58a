/* Sealing without rules, for test vectors: the engine itself seals nothing that may not be sent. */
#ifndef OURO_SEAL_H
#define OURO_SEAL_H

#include "ouroboros/ouroboros.h"

/*
 * Seals the body of a packet whose 16 bytes of header are there, right or wrong, under `key`
 * (section 4.1): `packet` has room for 16 + body_len + 16 bytes.
 */
OURO_CHECKED ouro_status ouro_seal_anything(const uint8_t key[32], uint8_t *packet,
                                            size_t body_len);

#endif
