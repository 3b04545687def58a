/*
 * What a call says. Zero is success. The three kinds of failure are told apart by range:
 * a drop is hostile, late or repeated input (counted; the session lives), an error is misuse by
 * the caller or a failure of the crypto library, an end says that a session is over.
 */
#ifndef OUROBOROS_STATUS_H
#define OUROBOROS_STATUS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define OURO_CHECKED __attribute__((warn_unused_result))
#else
#define OURO_CHECKED
#endif

typedef enum ouro_status {
    OURO_OK = 0,

    OURO_DROP_MALFORMED = -1, /* a check of section 2, before any key was touched */
    OURO_DROP_SESSION = -2,   /* no session of that id here */
    OURO_DROP_AUTH = -3,      /* the tag does not verify */
    OURO_DROP_REPLAY = -4,    /* a counter seen before, or below the window */
    OURO_DROP_AHEAD = -5,     /* a message counter above the window */
    OURO_DROP_DUPLICATE = -6, /* a message that was opened before, tag and all */
    OURO_DROP_BUSY = -7,      /* left unopened: the application's queue is full */
    OURO_DROP_CLOSED = -8,   /* DATA after this side's own CLOSE, or for a session kept as a tail */
    OURO_DROP_NONSENSE = -9, /* authentic, but its body does not parse */
    OURO_DROP_HANDSHAKE = -10, /* HELLO or WELCOME that nothing here waits for */
    OURO_DROP_EPOCH = -11,     /* HELLO of a spent epoch, or of one too far ahead */
    OURO_DROP_LIMIT = -12,     /* over a limit of the server: to come again later */
    OURO_DROP_KIND = -13, /* HELLO of a fixed credential that is evolving here, or of an evolving
                             one that is fixed: one of the two is set wrong */
    OURO_DROP_TRANSPORT = -14, /* HELLO or WELCOME for a stream in a datagram, or the other way */

    OURO_ERR_ARGUMENT = -32,  /* an argument out of its documented range */
    OURO_ERR_STATE = -33,     /* the call does not fit the state (closed, asleep, busy) */
    OURO_ERR_TOO_LARGE = -34, /* a message above the peer's max_body, or above a place's room */
    OURO_ERR_NO_PLACE = -35,  /* no free place in the pool: drain events and try again later */
    OURO_ERR_CRYPTO = -36,    /* the crypto library failed (its memory pool is exhausted?) */
    OURO_ERR_DAMAGED = -37,   /* a saved session that was cut, changed or made by another version */
    OURO_ERR_SEQ = -38,       /* a seq too far above one that is still open: give that first */

    OURO_END_LIMIT = -64,  /* the session has used up its counters */
    OURO_END_CLOSED = -65, /* the session is closed */
    OURO_END_STREAM = -66  /* the stream broke a rule and has to be ended */
} ouro_status;

/* The number of counters of dropped packets: `-status` of a drop is its index. */
#define OURO_DROP_KINDS 15

static inline bool ouro_is_drop(ouro_status status) {
    return status < OURO_OK && status > OURO_ERR_ARGUMENT;
}

/* A short English name, for logs and metrics; never NULL. */
const char *ouro_status_name(ouro_status status);

#ifdef __cplusplus
}
#endif

#endif
