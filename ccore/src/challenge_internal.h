/* Challenges: proof that a HELLO's sender hears what is sent to it (section 3). */
#ifndef OURO_CHALLENGE_INTERNAL_H
#define OURO_CHALLENGE_INTERNAL_H

#include "ouroboros/server.h"

/* The slice that is set, if one is, is in its range. */
bool ouro_challenge_slice_fits(const ouro_server_settings *settings);
/* The challenge of this moment for a HELLO. */
OURO_CHECKED ouro_status ouro_challenge_make(const ouro_server *server, uint64_t now,
                                             const ouro_hello *hello,
                                             uint8_t challenge[OURO_CHALLENGE_SIZE]);
/* The HELLO answers a challenge that still holds. */
bool ouro_challenge_holds(const ouro_server *server, uint64_t now, const ouro_hello *hello);

#endif
