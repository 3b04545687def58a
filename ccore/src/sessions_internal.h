/* The sessions of a link: newest first, older ones that drain. */
#ifndef OURO_SESSIONS_INTERNAL_H
#define OURO_SESSIONS_INTERNAL_H

#include "ouroboros/link.h"

/* The newest session; NULL if there is none, or a tail alone. */
ouro_session *ouro_sessions_newest(const ouro_link *link);
ouro_tail *ouro_sessions_find(const ouro_link *link, uint32_t id);
/* Makes room and returns a session that is not in use, with its slots. */
ouro_session *ouro_sessions_new(ouro_link *link, ouro_slot **slots);
/* The session becomes the newest. */
void ouro_sessions_enter(ouro_link *link, ouro_session *session, uint64_t now);
/* What is in flight is unknown, the keys are erased; what follows from that is the policy's. */
void ouro_sessions_drop(ouro_link *link, ouro_tail *tail);
/* The keys of all are erased, and nobody is told: the link ends. */
void ouro_sessions_erase(ouro_link *link);
/* The session closes once nothing is in flight in it. */
void ouro_sessions_begin_close(ouro_tail *tail, uint64_t now, uint8_t reason);
/* The age at which a session is replaced. */
uint64_t ouro_sessions_rekey_age(const ouro_link *link);

#endif
