/* Messages that the path does not seem to carry, though it carries others: stuck, then stalled. */
#ifndef OURO_STALLED_INTERNAL_H
#define OURO_STALLED_INTERNAL_H

#include "ouroboros/link.h"

/* It is about to be sent again: was something authenticated since it was sent last? */
void ouro_stalled_count(ouro_link *link, ouro_place *place, uint64_t now);
/* The count begins anew. */
void ouro_stalled_anew(ouro_place *place);
/* What is stuck, with a higher counter acknowledged, leaves the flight. */
void ouro_stalled_find(ouro_link *link, const ouro_tail *tail);
/* Those that are named have arrived after all; those too far below the highest cannot any more. */
void ouro_stalled_acked(ouro_link *link, const ouro_tail *tail, const ouro_ack_block *block);
/* They end with their session. */
void ouro_stalled_end(ouro_link *link, const ouro_tail *tail);
/* They end where a higher seq of their box waits for them. */
void ouro_stalled_make_way(ouro_link *link, const ouro_place *place);
/* One ends where there is no place for another message. */
void ouro_stalled_give_place(ouro_link *link);
/* One that is to be sent again now, or NULL; and when the next one is. */
ouro_place *ouro_stalled_due(const ouro_link *link, uint64_t now);
uint64_t ouro_stalled_deadline(const ouro_link *link, uint64_t now);
/* One that the application is to be told of, or NULL; its size. */
ouro_place *ouro_stalled_untold(const ouro_link *link);
size_t ouro_stalled_size(const ouro_place *place);

#endif
