/*
 * A link: all that one side keeps of one peer. It queues messages, sends and resends them within
 * the peer's reach and the congestion window, acknowledges, finds out that a path is dead, and at a
 * client makes new sessions (sections 3, 5, 6, 7).
 *
 * The caller's loop, whenever a packet came, a message is to be sent, or ouro_link_deadline passed:
 *
 *     ouro_link_receive(...)        for each packet; drain ouro_link_next_event after each
 *     ouro_link_send(...)           for each message
 *     ouro_link_tick(...)           if the deadline has passed
 *     ouro_link_transmit(...)       until it gives no packet and no ERR_CRYPTO
 *     ouro_link_next_event(...)     until there is none
 *     wait for a packet or for ouro_link_deadline(...); not at all when that is not in the future
 *
 * Whatever can go out, or be told, has a deadline: a nonce or a message that was given after
 * ouro_link_transmit makes it that moment.
 *
 * A message that was handed on is acknowledged only after ouro_link_done: make it safe first.
 */
#ifndef OUROBOROS_LINK_H
#define OUROBOROS_LINK_H

#include "ouroboros/handshake.h"
#include "ouroboros/pool.h"
#include "ouroboros/session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OURO_NEVER UINT64_MAX
/* Bytes of scratch that ouro_link_transmit builds control packets and HELLOs in. */
#define OURO_SCRATCH_SIZE 112
#define OURO_MAX_SESSIONS 3

/* A datagram's address as the caller writes it: compared byte by byte, never looked into. */
typedef struct ouro_addr {
    uint8_t len;
    uint8_t bytes[27];
} ouro_addr;

/*
 * Times are milliseconds. Zero of a field marked with * means the default that is named, and
 * OURO_NEVER of one marked with + means never. What is out of its range is refused at init.
 */
typedef struct ouro_settings {
    uint8_t role;               /* ouro_role */
    uint8_t reach;              /* of this side as a receiver: 4 to 64 */
    uint16_t max_body;          /* largest body this side takes: 64 to 1200 */
    bool stream;                /* over a stream (stream.h) instead of datagrams */
    uint16_t place_limit;       /* * places of the pool this link may hold at once: all */
    uint32_t keep_alive_ms;     /* a PING after so long a silence: 10 and more; 0 is off; 25,000 is
                                   usual */
    uint32_t first_timeout_ms;  /* * time-out while there is no sample: 2,000; 50 to 8,000 */
    uint32_t unreliable_ttl_ms; /* * how long an unreliable message may wait: 2,000; to 2^31 - 1 */
    uint64_t rekey_age_ms;      /* *+ age at which a session is replaced: 24 h; 1,000 and more */
    uint64_t rekey_packets; /* *+ packets of a space, likewise: 2^32 - 2^20; 16 to that. Without,
                               the session ends where its counters do */
    uint64_t idle_ms; /* *+ server: silence after which a session ends: 7 days; 100 and more */
    uint32_t short_wait_ms; /* * client: the longest wait before a handshake after sessions that did
                               not last: 300,000; 1,000 to that. A device that is never up for 5
                               minutes sets it below the time that it is up */
    uint32_t silence_ms;    /* * client: nothing heard for so long: unreliable messages ask for an
                               answer, so that a dead server is noticed: 300,000; 1,000 and more */
} ouro_settings;

enum {
    OURO_HANDSHAKE_IDLE = 0,
    OURO_HANDSHAKE_NONCE,
    OURO_HANDSHAKE_SEND,
    OURO_HANDSHAKE_WAIT,
    OURO_HANDSHAKE_PUT_OFF /* until it may begin */
};

/* A client's handshake: its credential and the one HELLO alive. */
typedef struct ouro_client {
    ouro_credential credential;
    uint64_t begun_ms, sent_ms, next_ms;
    uint64_t cancelled_ms; /* when the last handshake that was cancelled had begun; 0 is never */
    uint64_t welcome_ms;   /* when the newest session began; before this clock did, it wraps */
    uint32_t lived_ms;     /* from then to what was authenticated in it last */
    uint32_t timeout_ms;
    uint32_t close_previous_ms; /* when the CLOSE before the last one was sent, modulo 2^32 */
    uint8_t hello[OURO_HELLO_MAX];
    uint8_t hello_len;
    uint8_t phase;
    uint8_t cause;
    uint8_t challenges;
    uint8_t attempts;
    bool given_up;
    bool kept;      /* what is heard in the old session does not cancel it */
    uint8_t shorts; /* short sessions in a row, the newest left out: 0 to 7 */
} ouro_client;

/* What a server keeps of a session beside its keys: where the device is. */
struct ouro_path {
    ouro_addr known, reply, pong, close, probe;
    uint64_t reply_counter;
    uint64_t probe_ms;
    uint32_t probe_seq;
    bool probing, probe_due, reply_set;
    uint8_t hello_tag[OURO_TAG_SIZE]; /* of the HELLO that made it: it gets silence */
};

/*
 * The memory of a link. `sessions` full sessions (a client 1 to 3, a server 2 or 3, in a stream 1
 * to 3), each with 2 x reach slots; a client with fewer than 3 has `tails` for the older ones, so
 * that there are 3 in all. What is not marked as NULL is there.
 */
typedef struct ouro_memory {
    ouro_session *sessions;
    ouro_slot *slots;        /* session_count * 2 * reach; NULL in a stream */
    ouro_tail *tails;        /* tail_count, 0 to 3; NULL without */
    ouro_path *paths;        /* a server's, session_count of them; NULL at a client */
    ouro_client *client;     /* a client's; NULL at a server */
    ouro_prepared *prepared; /* one, or NULL */
    ouro_pool *pool;         /* made by ouro_pool_init */
    uint8_t session_count, tail_count;
} ouro_memory;

typedef struct ouro_stats {
    uint32_t sent, received; /* packets, those that were dropped included */
    uint32_t retransmitted;
    uint32_t timeouts;
    uint32_t handshakes;
    uint32_t stalled; /* messages that the path did not carry, for a while or at all */
    uint32_t drops[OURO_DROP_KINDS]; /* by -status */
} ouro_stats;

typedef enum ouro_event_type {
    OURO_EVENT_NONE = 0,
    OURO_EVENT_MESSAGE,   /* data, len, session_id, counter, once, box, seq, last */
    OURO_EVENT_DELIVERED, /* message: acknowledged */
    OURO_EVENT_SENT,      /* message: an unreliable one went out */
    OURO_EVENT_UNKNOWN,   /* message: sent, but its session ended: it may have arrived. With ONCE it
                             is given again, before anything higher */
    OURO_EVENT_FAILED,    /* message: never sent */
    OURO_EVENT_ESTABLISHED, /* session_id: a session is confirmed and is used from now on */
    OURO_EVENT_CLOSED,      /* reason, missing: the newest session ended */
    OURO_EVENT_EPOCH,  /* shorts: make the whole credential durable in one write, key, epoch and
                          shorts (it comes for a new epoch, and where shorts alone becomes 0),
                          then call ouro_link_epoch_saved; until then nothing is sent or handed
                          on, and no packet may be given; the one
                          given last is kept, as a message in it may wait to be handed on */
    OURO_EVENT_NONCE,  /* client: call ouro_link_nonce with 16 fresh random bytes */
    OURO_EVENT_DEAD,   /* the path counts as dead; the link goes on trying */
    OURO_EVENT_ALIVE,  /* the peer was heard from again */
    OURO_EVENT_PONG,   /* rtt_ms: a PING was answered */
    OURO_EVENT_STALLED /* message, len: this message does not get through, though others do: it
                          is probably larger than the path carries. Told once; an outcome
                          follows. Send smaller ones (a batch: fewer items) */
} ouro_event_type;

typedef struct ouro_event {
    ouro_event_type type;
    uint32_t message;
    uint32_t session_id;
    uint64_t counter;
    const uint8_t *data; /* in the received packet: valid until the next receive */
    size_t len;
    bool last; /* of its packet: hand it on, then ouro_link_done(session_id, counter) */
    bool batch;
    bool once; /* keep a record of box and seq, or ignore them */
    uint32_t box, seq;
    bool stalled;     /* UNKNOWN: it was stalled. With ONCE it is not given again under its seq */
    uint8_t shorts;   /* EPOCH: what stands in the credential */
    uint8_t reason;   /* CLOSED: ouro_reason */
    bool by_peer;     /* CLOSED: the peer closed it */
    uint64_t missing; /* CLOSED: messages that the peer sent and that never came */
    uint64_t rtt_ms;
} ouro_event;

typedef struct ouro_message {
    const uint8_t *data;
    size_t len;
    bool reliable;
    bool batch;      /* data is a batch, made with ouro_batch_append */
    uint32_t box;    /* not 0: sent with ONCE */
    uint32_t seq;    /* within the box, counted from 0: see ouro_link_send */
    uint32_t ttl_ms; /* failed when it waits longer: to 2^31 - 1; 0: for ever, or the settings' if
                        unreliable */
} ouro_message;

typedef struct ouro_datagram {
    const uint8_t *data; /* valid until the next call on the link */
    size_t len;          /* 0: nothing to send */
    const ouro_addr *to; /* NULL at a client: the server */
} ouro_datagram;

/* Seqs of the box used last that ended as unknown and were not given again. */
typedef struct ouro_unknown {
    uint64_t bits; /* bit i: lowest + i; bit 0 is set where there is one */
    uint32_t box, lowest;
} ouro_unknown;

typedef struct ouro_link {
    const ouro_settings *settings;
    const ouro_memory *memory;
    ouro_tail *live[OURO_MAX_SESSIONS]; /* newest first */
    ouro_place *queue, *flight, *stalled, *ended;
    ouro_unknown unknown;
    ouro_stats stats;

    /* the message that is being handed on */
    const uint8_t *inbox;
    uint16_t inbox_len, inbox_offset;
    uint32_t inbox_counter, inbox_session, inbox_box, inbox_seq;
    uint8_t inbox_flags;
    bool inbox_full;

    /* times */
    uint64_t heard_ms, sent_ms, closing_ms, dead_ms;
    uint64_t ask_ms; /* client: from then on unreliable messages ask for an answer */

    /* round trip (RFC 6298): srtt in 1/8 ms, rttvar in 1/4 ms */
    uint32_t srtt8, rttvar4;
    uint32_t first_timeout_ms;
    uint32_t random;

    /* congestion window, in packets */
    uint16_t window, threshold, window_part;
    uint64_t reduced_ms;

    /* BUSY: of the peer, and of this side */
    uint64_t wait_until_ms, busy_ms, duplicate_ms; /* in a stream: busy_ms is the last sign of life
                                                      of a side that does not read */
    uint32_t wait_counter, open_counter; /* control counters of a BUSY, and of the last ACK + 1 */
    uint8_t busy_count;

    /* PING */
    uint64_t ping_sent_ms, ping_first_ms, ping_previous_ms;
    uint32_t ping_times[8];
    uint32_t ping_seq;
    uint8_t ping_timeouts;
    uint8_t ping_waiting; /* bit seq % 8: sent and not answered */

    uint64_t unread_ms; /* stream: since when this side does not read */

    /* the PONG that is owed */
    uint8_t pong[OURO_PING_MAX];
    uint32_t pong_session;
    uint8_t pong_len;

    uint64_t suspect_ms; /* when a handshake begins beside a path that seems dead */
    uint32_t pong_rtt_ms, closed_missing;
    uint32_t established_id;
    uint16_t place_count, reports;
    uint16_t events;
    uint16_t flags;
    uint8_t closed_reason;
    uint32_t next_id;
} ouro_link;

/*
 * Makes a link. `settings` and `memory` must stay; what `memory` points to belongs to the link.
 * `seed` spreads time-outs, and is no secret. A client gets its credential, a server NULL.
 * ERR_ARGUMENT when something is out of its range: the link is then as one that was closed.
 */
OURO_CHECKED ouro_status ouro_link_init(ouro_link *link, const ouro_settings *settings,
                                        const ouro_memory *memory,
                                        const ouro_credential *credential, uint32_t seed);

/*
 * Client: begins a handshake, if there is neither a session nor a handshake; at once, or where
 * sessions did not last, when ouro_link_connects_at says. ERR_STATE at a server, and where the link
 * closes or is closed.
 */
OURO_CHECKED ouro_status ouro_link_connect(ouro_link *link, uint64_t now_ms);

/*
 * Client: when a handshake may begin at the earliest: `now_ms`, or later after sessions that did
 * not last. Over a stream, open one no sooner: the server waits 10 s for HELLO.
 * After a restart that wait runs from ouro_link_connect, or in datagrams from the first message;
 * until then this moves on with `now_ms`. So connect first, then open the stream when this says.
 */
uint64_t ouro_link_connects_at(const ouro_link *link, uint64_t now_ms);

/*
 * Client: the 16 random bytes that OURO_EVENT_NONCE asks for; never the same twice. ERR_STATE when
 * none are asked for (any more): nothing is lost. ERR_CRYPTO when no HELLO could be made: they are
 * asked for again after a time-out.
 */
OURO_CHECKED ouro_status ouro_link_nonce(ouro_link *link, const uint8_t nonce[16]);

/* The credential that OURO_EVENT_EPOCH announced is durable: the link goes on. */
void ouro_link_epoch_saved(ouro_link *link);

/*
 * Takes one datagram, and opens it in place. `from` is NULL at a client, which gives only packets
 * of its server. OK when it was taken. A drop of any kind (status.h) is counted in the link's
 * statistics and needs nothing more. ERR_STATE: there are events to drain first; ERR_ARGUMENT: no
 * address at a server, or one that is too long; ERR_CRYPTO: it counts as lost on its way. In a
 * stream a drop (but DROP_CLOSED) and ERR_CRYPTO become END_STREAM: end it.
 */
OURO_CHECKED ouro_status ouro_link_receive(ouro_link *link, uint64_t now_ms, const ouro_addr *from,
                                           uint8_t *packet, size_t len);

/*
 * The message of that counter is handed on, and safe: it may be acknowledged. In a stream that
 * happens once all before it are, too (reliable or not): each is named to this function. What never
 * came, or of a session that is gone, is not acknowledged.
 */
void ouro_link_done(ouro_link *link, uint32_t session_id, uint64_t counter);

/*
 * How much room the application's queue has, in packets. At `free` 0 DATA is answered with BUSY;
 * once it is at least half free the peer is told so. One packet may come in spite of 0: the first.
 */
void ouro_link_set_room(ouro_link *link, size_t free, size_t capacity);

/*
 * Takes a message, copies it, and gives it an id for its outcome. ERR_NO_PLACE: drain events, wait
 * for an outcome, and try again (one that is stalled gives up its place). ERR_TOO_LARGE: above
 * ouro_link_max_message. ERR_ARGUMENT: no batch where one is said to be, no data, or ttl_ms out of
 * its range. ERR_STATE: the session was saved. END_CLOSED: the link closes or is closed.
 *
 * With ONCE: give what was told UNKNOWN again, same box, seq and content, before anything higher.
 * ERR_SEQ refuses a seq that is 64 or more above the lowest of its box that waits, is in flight, or
 * ended as UNKNOWN and was not given again, as a receiver's record would take the lower one for
 * known when it comes: drain events, give that one, and try again. Not counted is what ended as
 * UNKNOWN because it was stalled, which is never given again under its box and seq, and what
 * ouro_link_give_up names. (The link keeps account of the box it used last alone.)
 */
OURO_CHECKED ouro_status ouro_link_send(ouro_link *link, uint64_t now_ms,
                                        const ouro_message *message, uint32_t *id);

/*
 * A message with ONCE that was told UNKNOWN will not be given again: it holds up no higher seq any
 * more. ERR_STATE when its box is not the one used last.
 */
OURO_CHECKED ouro_status ouro_link_give_up(ouro_link *link, uint32_t box, uint32_t seq);

/* Takes back a message that was not sent yet: it fails. ERR_STATE when it was sent or is unknown.
 */
OURO_CHECKED ouro_status ouro_link_withdraw(ouro_link *link, uint32_t id);

/* Largest `len` that ouro_link_send takes now: the peer's max_body once known, less 8 with ONCE. */
size_t ouro_link_max_message(const ouro_link *link, bool once);

/*
 * Sends a PING, if none is outstanding; OURO_EVENT_PONG tells the round trip. ERR_STATE without a
 * session.
 */
OURO_CHECKED ouro_status ouro_link_ping(ouro_link *link);

/*
 * Client: replaces the session, make before break; server: asks the client to (CLOSE 2). ERR_STATE
 * without a session, and where the link closes.
 */
OURO_CHECKED ouro_status ouro_link_rekey(ouro_link *link, uint64_t now_ms);

/*
 * No new message is taken; what is queued is sent, then CLOSE goes out: at the latest after 45 s,
 * or at once if that is asked for. OURO_EVENT_CLOSED ends it. ERR_STATE when it is closed already;
 * ERR_ARGUMENT for a reason that is none, and for OURO_REASON_REKEY: see ouro_link_rekey.
 */
OURO_CHECKED ouro_status ouro_link_close(ouro_link *link, uint64_t now_ms, ouro_reason reason,
                                         bool at_once);

/*
 * Makes the next message's keys ahead, for a body of `body_len` bytes. For idle time. OK, too,
 * where there is nothing to prepare; ERR_ARGUMENT above 1200 bytes; ERR_CRYPTO: they are made when
 * needed.
 */
OURO_CHECKED ouro_status ouro_link_prepare(ouro_link *link, size_t body_len);

/* Runs the timers that are due. */
void ouro_link_tick(ouro_link *link, uint64_t now_ms);

/*
 * The next packet to send; `out->len` 0 when there is none. ERR_CRYPTO: a packet could not be made;
 * call again, as there may be others. A message then fails, with its event; anything else counts as
 * lost on its way, and is made again later: each failure leaves less to send.
 */
OURO_CHECKED ouro_status ouro_link_transmit(ouro_link *link, uint64_t now_ms,
                                            uint8_t scratch[OURO_SCRATCH_SIZE], ouro_datagram *out);

/*
 * The same, for a PONG alone: for callers who read many packets before they transmit, after each.
 */
OURO_CHECKED ouro_status ouro_link_transmit_pong(ouro_link *link, uint64_t now_ms,
                                                 uint8_t scratch[OURO_SCRATCH_SIZE],
                                                 ouro_datagram *out);

/* The next event; false when there is none. */
bool ouro_link_next_event(ouro_link *link, ouro_event *event);

/*
 * When the caller's loop is to turn next: at most `now_ms` when there is something to send, to tell
 * or to do already, OURO_NEVER when only a packet or a call can matter. Ask after each turn.
 */
uint64_t ouro_link_deadline(const ouro_link *link, uint64_t now_ms);

/* True if there is a session in which messages can be sent. */
bool ouro_link_is_open(const ouro_link *link);

/* True once the link is closed for good: after ouro_link_close and its end. */
bool ouro_link_is_closed(const ouro_link *link);

/* Messages that are queued or in flight. Nothing waits for one that is stalled: it is left out. */
size_t ouro_link_pending(const ouro_link *link);

/* Smoothed round-trip time in ms; 0 without a sample. */
uint32_t ouro_link_rtt(const ouro_link *link);

/* The next counter of the newest session's messages (0 without one). */
uint64_t ouro_link_sent_messages(const ouro_link *link);

/*
 * Erases everything; messages that have no outcome yet get no event any more. The link is then as
 * one that was closed.
 */
void ouro_link_erase(ouro_link *link);

#ifdef __cplusplus
}
#endif

#endif
