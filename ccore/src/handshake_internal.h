/* Where things stand in a HELLO. */
#ifndef OURO_HANDSHAKE_INTERNAL_H
#define OURO_HANDSHAKE_INTERNAL_H

#include "ouroboros/handshake.h"

enum { HELLO_NONCE = OURO_DEVICE_ID_SIZE };

/* nonce_c of a whole HELLO packet. */
static inline const uint8_t *ouro_hello_nonce(const uint8_t *packet) {
    return packet + OURO_HEADER_SIZE + HELLO_NONCE;
}

#endif
