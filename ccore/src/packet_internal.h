/* The rules of section 2 that other rooms ask for. */
#ifndef OURO_PACKET_INTERNAL_H
#define OURO_PACKET_INTERNAL_H

#include "ouroboros/packet.h"

/* Bytes of the bodies of HELLO, without and with a challenge, and of WELCOME. */
enum { HELLO_BODY = 28, HELLO_BODY_MAX = 44, WELCOME_BODY = 20 };

/* What a side may advertise: its receive reach, and with it the largest body that it takes. */
bool ouro_reach_fits(uint32_t reach);
bool ouro_terms_fit(uint32_t reach, uint32_t max_body);
/* A batch of one item or more, which end where it ends. */
bool ouro_batch_fits(const uint8_t *batch, size_t len);

#endif
