/* Whether there is something to send. */
#ifndef OURO_TRANSMIT_INTERNAL_H
#define OURO_TRANSMIT_INTERNAL_H

#include "ouroboros/link.h"

/* True if ouro_link_transmit would give a packet now, or find one that cannot go. */
bool ouro_transmit_is_due(const ouro_link *link, uint64_t now);

#endif
