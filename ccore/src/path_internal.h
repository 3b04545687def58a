/* The path to the peer: its round trip and time-outs, whether it is dead, where it leads. */
#ifndef OURO_PATH_INTERNAL_H
#define OURO_PATH_INTERNAL_H

#include "ouroboros/link.h"

/* Nothing is known of it any more. */
void ouro_path_fresh(ouro_link *link);
void ouro_path_sample(ouro_link *link, uint64_t rtt);
/* The time-out of a path without samples, drawn anew. */
uint32_t ouro_path_first_timeout(ouro_link *link);
uint32_t ouro_path_timeout(const ouro_link *link);
/* The time-out after so many in a row, at most 8 s. */
uint32_t ouro_path_backed_off(const ouro_link *link, const ouro_tail *tail, unsigned timeouts);
/* When a packet that was sent at `sent` times out, after `timeouts` in a row. */
uint64_t ouro_path_due(const ouro_link *link, const ouro_tail *tail, uint64_t sent,
                       unsigned timeouts);
/* Something was authenticated. */
void ouro_path_heard(ouro_link *link, uint64_t now);
/* How long a client hears nothing before its unreliable messages ask for an answer. */
uint32_t ouro_path_silence(const ouro_link *link);
/* The path counts as dead: the application is told, a server's timers stop. */
void ouro_path_dead(ouro_link *link, uint64_t now);
/* Two time-outs in a row of one packet, with nothing heard since `since` (section 6, dead path). */
void ouro_path_suspect(ouro_link *link, uint64_t since, uint64_t now);
/* Section 5, path: where the newest DATA came from; a newest control packet starts a probe. */
void ouro_path_follow(ouro_session *session, const ouro_addr *from, const ouro_header *header,
                      const ouro_body *body, uint64_t now);

#endif
