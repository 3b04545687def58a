/* A client's handshakes, over time. */
#ifndef OURO_CLIENT_INTERNAL_H
#define OURO_CLIENT_INTERNAL_H

#include "ouroboros/link.h"

void ouro_client_begin(ouro_link *link, uint8_t cause, uint64_t now);
void ouro_client_cancel(ouro_link *link);
OURO_CHECKED ouro_status ouro_client_welcome(ouro_link *link, uint64_t now, const uint8_t *packet,
                                             size_t len);
void ouro_client_tick(ouro_link *link, uint64_t now);
/* A HELLO is due. */
bool ouro_client_says_hello(const ouro_link *link);
/* True if the HELLO stands in `out`, which is due. */
bool ouro_client_transmit(ouro_link *link, uint64_t now, ouro_datagram *out);
/* A message waits and there is nothing to send it in. */
void ouro_client_wanted(ouro_link *link, uint64_t now);

#endif
