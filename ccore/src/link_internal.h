/*
 * What the files of the link share. Each file is one room:
 *
 *     link.c           life, messages in, events out, closing
 *     link_sessions.c  the sessions of a link: which, how they begin, drain and end
 *     link_flight.c    places: round trip, congestion, acknowledged, lost, sent again
 *     link_receive.c   packets in
 *     link_transmit.c  packets out
 *     link_timer.c     time-outs and the deadline
 *     client.c         a client's handshakes
 *     server.c         a server's
 *     stream.c         what is different over a stream
 *     sleep.c          save and restore
 */
#ifndef OURO_LINK_INTERNAL_H
#define OURO_LINK_INTERNAL_H

#include "ouroboros/link.h"
#include "pool_internal.h"
#include <string.h>

/* Section 6, milliseconds. */
enum {
    FIRST_TIMEOUT_MS = 2000,      /* RFC 7252 4.8 ACK_TIMEOUT */
    TIMEOUT_MIN_MS = 50,          /* 6 */
    TIMEOUT_MAX_MS = 8000,        /* 6 */
    DEAD_TIMEOUT_MAX_MS = 300000, /* once the path counts as dead */
    GIVE_UP_MS = 45000,           /* RFC 7252 4.8.2 MAX_TRANSMIT_SPAN */
    GIVE_UP_ATTEMPTS = 4,         /* RFC 7252 4.8 MAX_RETRANSMIT */
    UNRELIABLE_TTL_MS = 2000,
    OLD_TIMEOUT_MAX_MS = 2000, /* of packets in an older session */
    OLD_SESSION_MS = 10000,    /* how long it is kept for them, over a dead path */
    DRAIN_MS = 60000,          /* and after a rekeying, or at a server */
    BUSY_PERIOD_MS = 100,
    BUSY_WAIT_MS = 1000,
    DUPLICATE_PERIOD_MS = 100,
    PROBE_PERIOD_MS = 1000,
    PROBE_MS = 8000,
    PING_TIMEOUTS = 6,
    CLOSE_COPIES = 3,
    STREAM_PING_MS = 15000,
    STREAM_DEAD_MS = 45000,
    HELLO_AGAIN_MS = 8000,
    DEFAULT_IDLE_MS = 604800000, /* 7 days */
    DEFAULT_REKEY_MS = 86400000  /* 24 h */
};
#define DEFAULT_REKEY_PACKETS (OURO_COUNTER_LIMIT - 0x100000)

/* Congestion window, in packets: RFC 9002 7 in packets instead of bytes. */
enum { WINDOW_START = 4, WINDOW_MIN = 2, WINDOW_MAX = 256 };
/* Messages that may be unacknowledged in a stream: an ack block names 65 counters at most. */
enum { STREAM_REACH = 64 };
/* A client that has not heard from the server uses message counters 0 to 3 (section 3). */
enum { UNCONFIRMED_REACH = 4 };
/* seqs of one box in flight (section 6, once). */
enum { ONCE_REACH = 64 };

/* ouro_tail.state */
enum {
    TAIL_UNCONFIRMED = 1, /* client: nothing was authenticated from the server yet */
    TAIL_OWES = 2,        /* an acknowledgement of a new message */
    TAIL_OWES_AGAIN = 4,  /* one of a duplicate */
    TAIL_GAP = 8,         /* a hole to report */
    TAIL_BUSY_DUE = 16,
    TAIL_BUSY_SENT = 32,
    TAIL_OPEN_DUE = 64, /* ACK: there is room again */
    TAIL_CLOSE_DUE = 128,
    TAIL_REKEYED = 256, /* older: replaced by a rekeying, closed with reason 2 once drained */
    TAIL_RETIRING = 512,
    TAIL_NO_NEW = 1024, /* no new message begins here */
    TAIL_OLDER = 4096,  /* another session came after it */
    TAIL_ENDING = 2048  /* ends once its answer is sent */
};

enum { CLOSE_NONE = 0, CLOSE_DRAINING, CLOSE_SENT, CLOSE_ANSWERING };

/* ouro_link.flags */
enum {
    LINK_HOLD = 1, /* an epoch is not durable yet: nothing is sent or handed on */
    LINK_CLOSING = 2,
    LINK_CLOSED = 4,
    LINK_FULL = 8,
    LINK_PING_OUT = 16,
    LINK_PING_DUE = 32,
    LINK_PONG_DUE = 64,
    LINK_DEAD = 128,
    LINK_SUSPECT = 256,
    LINK_BROKEN = 512,        /* stream: a rule was broken */
    LINK_RECONNECT = 1024,    /* a handshake follows the end of the session */
    LINK_SAID_GOODBYE = 4096, /* the last session ended by CLOSE on both sides */
    LINK_ASLEEP = 2048 /* saved: nothing is sent or taken until it is restored or connected */
};

/* ouro_link.events: what ouro_link_next_event still has to tell */
enum {
    TELL_EPOCH = 1,
    TELL_NONCE = 2,
    TELL_ESTABLISHED = 4,
    TELL_CLOSED = 8,
    TELL_DEAD = 16,
    TELL_ALIVE = 32,
    TELL_PONG = 64,
    TELL_CLOSED_BY_PEER = 128
};

/* ouro_place.flags */
enum {
    PLACE_RELIABLE = 1,  /* sent again until it is acknowledged */
    PLACE_QUIET = 2,     /* its outcome was told, or is nobody's business */
    PLACE_SENT = 4,      /* SENT is to be told */
    PLACE_LOST = 8,      /* to be sent again when the window allows */
    PLACE_RESEND = 16,   /* to be sent again at once */
    PLACE_REPEATED = 32, /* it was sent more than once: no sample (Karn) */
    PLACE_DELIVERED = 64,
    PLACE_UNKNOWN = 128,
    PLACE_FAILED = 256
};

/* ouro_client.cause */
enum { CAUSE_CONNECT = 0, CAUSE_DEAD_PATH, CAUSE_REKEY };

/* link_sessions.c */
ouro_session *ouro_newest(const ouro_link *link);
ouro_session *ouro_full(ouro_tail *tail);
ouro_tail *ouro_link_find(const ouro_link *link, uint32_t id);
/* Makes room and returns an erased full session, with its slots, path and prepared message. */
ouro_session *ouro_link_new_session(ouro_link *link, uint64_t now, ouro_slot **slots);
/* The session becomes the newest. */
void ouro_link_enter(ouro_link *link, ouro_session *session, uint64_t now);
/* Ends one session: what is in flight is unknown, its keys are erased. */
void ouro_link_end(ouro_link *link, ouro_tail *tail, uint64_t now);
/* After the newest session first heard from its peer. */
void ouro_link_confirmed(ouro_link *link, uint64_t now);
/* Ends older sessions that have nothing left to do, moves closing on. */
void ouro_link_settle(ouro_link *link, uint64_t now);
void ouro_link_begin_close(ouro_tail *tail, uint64_t now, uint8_t reason);
/* A session at a limit: a client replaces it, a server asks for that. */
void ouro_link_renew(ouro_link *link, uint64_t now);
/* The newest session is one that may be replaced now. */
bool ouro_link_may_renew(const ouro_link *link);
uint64_t ouro_link_rekey_age(const ouro_link *link);
/* CLOSE goes out whatever waits: what is in flight is unknown, what is queued waits for a session.
 */
void ouro_link_goodbye(ouro_link *link, ouro_tail *tail, uint8_t reason);

/* link_flight.c */
uint32_t ouro_link_timeout(const ouro_link *link);
/* When a packet that was sent at `sent` times out, after `timeouts` in a row. */
uint64_t ouro_due(const ouro_link *link, const ouro_tail *tail, uint64_t sent, unsigned timeouts);
/* The time-out after so many in a row, at most 8 s. */
uint32_t ouro_backed_off(const ouro_link *link, const ouro_tail *tail, unsigned timeouts);
void ouro_link_sample(ouro_link *link, uint64_t rtt);
void ouro_link_fresh_path(ouro_link *link);
/* The time-out of a path without samples, drawn anew. */
uint32_t ouro_link_first_timeout(ouro_link *link);
/* Anything in flight: reliable, or unreliable and not yet forgotten. */
bool ouro_flight_any(const ouro_link *link, const ouro_tail *tail);
size_t ouro_flight_count(const ouro_link *link, const ouro_tail *tail);
bool ouro_flight_reliable(const ouro_link *link, const ouro_tail *tail);
ouro_place *ouro_flight_lowest(const ouro_link *link, const ouro_tail *tail);
void ouro_flight_acked(ouro_link *link, ouro_tail *tail, const ouro_ack_block *block, uint64_t now);
void ouro_flight_busy(ouro_link *link, ouro_tail *tail, uint64_t counter, uint64_t now);
/* Everything in flight in a session is sent again at once, its time-outs forgotten. */
void ouro_flight_resend(ouro_link *link, const ouro_tail *tail, uint64_t now);
void ouro_flight_timeout(ouro_link *link, ouro_tail *tail, ouro_place *place, uint64_t now);
void ouro_flight_end(ouro_link *link, const ouro_tail *tail);
uint64_t ouro_place_due(const ouro_link *link, const ouro_tail *tail, const ouro_place *place,
                        uint64_t now);
void ouro_place_unlink(ouro_place **list, ouro_place *place);
/* The place leaves its list with an outcome: an event follows, unless it is quiet. */
void ouro_place_finish(ouro_link *link, ouro_place **list, ouro_place *place, uint16_t outcome);
/* The path counts as dead: the application is told, a server's timers stop. */
void ouro_link_dead(ouro_link *link, uint64_t now);
/* Two time-outs in a row of one packet, with nothing heard since `since` (section 6, dead path). */
void ouro_link_suspect(ouro_link *link, uint64_t since, uint64_t now);

/* client.c */
void ouro_client_begin(ouro_link *link, uint8_t cause, uint64_t now);
void ouro_client_cancel(ouro_link *link);
ouro_status ouro_client_welcome(ouro_link *link, uint64_t now, const uint8_t *packet, size_t len);
void ouro_client_tick(ouro_link *link, uint64_t now);
/* True if the HELLO stands in `out`, which is due. */
bool ouro_client_transmit(ouro_link *link, uint64_t now, ouro_datagram *out);
bool ouro_client_busy(const ouro_link *link);
/* A message waits and there is nothing to send it in. */
void ouro_client_wanted(ouro_link *link, uint64_t now);

/* link_receive.c */
/* What follows from an authenticated packet: `status` is OK or DROP_NONSENSE. */
void ouro_link_take(ouro_link *link, uint64_t now, ouro_tail *tail, const ouro_addr *from,
                    const ouro_header *header, const ouro_body *body, ouro_status status);

/* link_timer.c */
/* Closing waits no longer: what is queued fails, CLOSE goes out; without a session it is over. */
void ouro_link_cut_short(ouro_link *link);

/* stream.c */
void ouro_stream_tick(ouro_link *link, uint64_t now);
uint64_t ouro_stream_deadline(const ouro_link *link, uint64_t now);

/* Nothing is sent again, and nothing new, while the peer's queue is full (section 6, BUSY). */
static inline bool ouro_link_waits(const ouro_link *link, uint64_t now) {
    return link->wait_until_ms != 0 && now < link->wait_until_ms;
}

/* Bytes past `len` are the caller's own. */
static inline bool ouro_same_addr(const ouro_addr *a, const ouro_addr *b) {
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* The time that was kept modulo 2^32, less than 49 days ago. */
static inline uint64_t ouro_then(uint64_t now, uint32_t kept) {
    uint32_t ago = (uint32_t)now - kept;
    return now >= ago ? now - ago : 0;
}

#define OURO_MIN(a, b) ((a) < (b) ? (a) : (b))
#define OURO_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
