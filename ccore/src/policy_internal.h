/* When a session ends or is replaced, and what follows from it. */
#ifndef OURO_POLICY_INTERNAL_H
#define OURO_POLICY_INTERNAL_H

#include "ouroboros/link.h"

/* Ends one session: a link that closes is closed then, a client begins a handshake if it must. */
void ouro_policy_end(ouro_link *link, ouro_tail *tail, uint64_t now);
/* After the newest session first heard from its peer. */
void ouro_policy_confirmed(ouro_link *link, uint64_t now);
/* Ends older sessions that have nothing left to do, moves closing on. */
void ouro_policy_settle(ouro_link *link, uint64_t now);
/* True if ouro_policy_settle would find nothing to do. */
bool ouro_policy_is_settled(const ouro_link *link, uint64_t now);
/* The newest session is one that may be replaced now. */
bool ouro_policy_may_renew(const ouro_link *link);
/* A session at a limit: a client replaces it, a server asks for that. */
void ouro_policy_renew(ouro_link *link, uint64_t now);
/* CLOSE goes out whatever waits: what is in flight is unknown, what is queued waits for a session.
 */
void ouro_policy_goodbye(ouro_link *link, ouro_tail *tail, uint8_t reason);
/* A link that closes still waits for something that ouro_policy_cut_short would not wait for. */
bool ouro_policy_closing_waits(const ouro_link *link);
/* Closing waits no longer: what is queued fails, CLOSE goes out; without a session it is over. */
void ouro_policy_cut_short(ouro_link *link);

#endif
