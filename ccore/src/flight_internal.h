/* Messages in flight in a session, and the congestion window. */
#ifndef OURO_FLIGHT_INTERNAL_H
#define OURO_FLIGHT_INTERNAL_H

#include "ouroboros/link.h"

/* The path and the congestion window begin anew. */
void ouro_flight_fresh(ouro_link *link);
/* Anything in flight: reliable, or unreliable and not yet forgotten. */
bool ouro_flight_any(const ouro_link *link, const ouro_tail *tail);
bool ouro_flight_reliable(const ouro_link *link, const ouro_tail *tail);
/* The same, and not stuck. */
bool ouro_flight_moves(const ouro_link *link, const ouro_tail *tail);
/* Room for the place in the congestion window; one always has room beside those that are stuck. */
bool ouro_flight_room(const ouro_link *link, const ouro_tail *tail, const ouro_place *place);
ouro_place *ouro_flight_lowest(const ouro_link *link, const ouro_tail *tail);
void ouro_flight_acked(ouro_link *link, ouro_tail *tail, const ouro_ack_block *block, uint64_t now);
void ouro_flight_busy(ouro_link *link, ouro_tail *tail, uint64_t counter, uint64_t now);
/* Everything in flight in a session is sent again at once, its time-outs forgotten. */
void ouro_flight_resend(ouro_link *link, const ouro_tail *tail, uint64_t now);
/* The same as the window allows, lowest first. */
void ouro_flight_all_lost(ouro_link *link, const ouro_tail *tail, uint64_t now);
/* When a place times out. */
uint64_t ouro_flight_due(const ouro_link *link, const ouro_tail *tail, const ouro_place *place,
                         uint64_t now);
void ouro_flight_timeout(ouro_link *link, ouro_tail *tail, ouro_place *place, uint64_t now);
/* What is in flight in a session that ends is unknown. */
void ouro_flight_end(ouro_link *link, const ouro_tail *tail);

#endif
