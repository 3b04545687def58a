/* What follows from an authentic packet. */
#ifndef OURO_RECEIVE_INTERNAL_H
#define OURO_RECEIVE_INTERNAL_H

#include "ouroboros/link.h"

/* `status` is OK or DROP_NONSENSE. */
void ouro_receive_take(ouro_link *link, uint64_t now, ouro_tail *tail, const ouro_addr *from,
                       const ouro_header *header, const ouro_body *body, ouro_status status);

#endif
