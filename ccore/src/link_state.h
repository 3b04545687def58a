/* What the flags and phases of a link, of its sessions and of its places mean. */
#ifndef OURO_LINK_STATE_H
#define OURO_LINK_STATE_H

#include "ouroboros/link.h"
#include <string.h>

/* ouro_tail.state */
enum {
    TAIL_UNCONFIRMED = 1, /* client: nothing was authenticated from the server yet */
    TAIL_OWES = 2,        /* an acknowledgement of a new message */
    TAIL_OWES_AGAIN = 4,  /* one of a duplicate */
    TAIL_GAP = 8,         /* a hole to report */
    TAIL_BUSY_DUE = 16,
    TAIL_BUSY_SENT = 32, /* and no ACK since: the peer waits */
    TAIL_OPEN_DUE = 64,  /* ACK: there is room again */
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
    LINK_DEAF = 8192,         /* stream: this side has stopped reading */
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
    PLACE_FAILED = 256,
    PLACE_STUCK = 512,    /* the path does not seem to carry it */
    PLACE_STALLED = 1024, /* an outcome: unknown, as it was stalled */
    PLACE_TOLD = 2048     /* the application knows that it is stalled */
};

/* ouro_client.cause */
enum { CAUSE_CONNECT = 0, CAUSE_DEAD_PATH, CAUSE_REKEY };

/* A client's handshake is under way. */
static inline bool ouro_client_busy(const ouro_link *link) {
    const ouro_client *client = link->memory->client;
    return client != NULL && client->phase != OURO_HANDSHAKE_IDLE;
}

/* Nothing is sent again, and nothing new, while the peer's queue is full (section 6, BUSY). */
static inline bool ouro_link_waits(const ouro_link *link, uint64_t now) {
    return link->wait_until_ms != 0 && now < link->wait_until_ms;
}

/* Bytes past `len` are the caller's own. */
static inline bool ouro_same_addr(const ouro_addr *a, const ouro_addr *b) {
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Where a packet came from: at a server that is somewhere, but for a stream's. */
static inline bool ouro_source_fits(const ouro_link *link, const ouro_addr *from) {
    const ouro_settings *settings = link->settings;
    return from != NULL ? from->len <= sizeof from->bytes
                        : settings->role == OURO_CLIENT || settings->stream;
}

#endif
