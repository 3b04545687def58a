/* The key that only a fleet's forwards take. */
#ifndef OURO_RATCHET_INTERNAL_H
#define OURO_RATCHET_INTERNAL_H

#include "ouroboros/ratchet.h"

/* The key of what one run of a gateway forwards to another; `context` names both and the run. */
OURO_CHECKED ouro_status ouro_fleet_forward_key(const uint8_t fleet_secret[32],
                                                const uint8_t *context, size_t context_len,
                                                uint8_t forward_key[32]);

#endif
