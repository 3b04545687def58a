/* How far the seqs of an outbox may run ahead (section 6, once). */
#ifndef OURO_ONCE_INTERNAL_H
#define OURO_ONCE_INTERNAL_H

#include "ouroboros/link.h"

/* Whether a message of that seq may be given: not 64 or more above one that is still open. */
bool ouro_once_may_give(const ouro_link *link, uint32_t box, uint32_t seq);
/* The message is given, for the first time or again. */
void ouro_once_given(ouro_link *link, uint32_t box, uint32_t seq);
/* It ended as unknown: it is to be given again before anything higher. */
void ouro_once_unknown(ouro_link *link, const ouro_place *place);

#endif
