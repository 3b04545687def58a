/* Where things stand in a HELLO. */
#ifndef OURO_HANDSHAKE_INTERNAL_H
#define OURO_HANDSHAKE_INTERNAL_H

#include "ouroboros/handshake.h"

/* nonce_c of a whole HELLO packet. */
const uint8_t *ouro_hello_nonce(const uint8_t *packet);

#endif
