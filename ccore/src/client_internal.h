/* A client's handshakes, over time. */
#ifndef OURO_CLIENT_INTERNAL_H
#define OURO_CLIENT_INTERNAL_H

#include "ouroboros/link.h"

void ouro_client_begin(ouro_link *link, uint8_t cause, uint64_t now);
void ouro_client_cancel(ouro_link *link);
/* The newest session is over: it is counted, as a short one if it was `lost` before it lasted. */
void ouro_client_ended(ouro_link *link, bool lost);
/* Something was authenticated in the newest session. */
void ouro_client_lives(ouro_link *link, uint64_t now);
/* A packet of the old session was authenticated: a handshake over a dead path may be forgotten. */
void ouro_client_heard(ouro_link *link);
OURO_CHECKED ouro_status ouro_client_welcome(ouro_link *link, uint64_t now, const uint8_t *packet,
                                             size_t len);
/* Time alone takes the handshake further, at `next_ms`. */
bool ouro_client_waits(const ouro_link *link);
void ouro_client_tick(ouro_link *link, uint64_t now);
/* A HELLO is due. */
bool ouro_client_says_hello(const ouro_link *link);
/* True if the HELLO stands in `out`, which is due. */
bool ouro_client_transmit(ouro_link *link, uint64_t now, ouro_datagram *out);
/* A message waits and there is nothing to send it in. */
void ouro_client_wanted(ouro_link *link, uint64_t now);

#endif
