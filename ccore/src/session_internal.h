/* Opening in two steps, and the session behind a tail. */
#ifndef OURO_SESSION_INTERNAL_H
#define OURO_SESSION_INTERNAL_H

#include "ouroboros/session.h"

/* The session whose head this is; NULL if it is a tail alone. */
ouro_session *ouro_tail_full(ouro_tail *tail);
/* Where a DATA packet of this session stands, before any key is derived (see ouro_window_check). */
OURO_CHECKED ouro_status ouro_session_check(const ouro_session *session, const ouro_header *header,
                                            const uint8_t *packet);
/* ouro_session_open of a packet that ouro_session_check has let pass. */
OURO_CHECKED ouro_status ouro_session_open_checked(ouro_session *session, const ouro_header *header,
                                                   uint8_t *packet, ouro_body *body);

#endif
