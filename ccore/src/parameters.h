/* The numbers of section 6; times are milliseconds. */
#ifndef OURO_PARAMETERS_H
#define OURO_PARAMETERS_H

#include "ouroboros/packet.h"

enum {
    FIRST_TIMEOUT_MS = 2000,      /* RFC 7252 4.8 ACK_TIMEOUT */
    TIMEOUT_MIN_MS = 50,          /* 6 */
    TIMEOUT_MAX_MS = 8000,        /* 6 */
    DEAD_TIMEOUT_MAX_MS = 300000, /* once the path counts as dead */
    GIVE_UP_MS = 45000,           /* RFC 7252 4.8.2 MAX_TRANSMIT_SPAN */
    GIVE_UP_ATTEMPTS = 4,         /* RFC 7252 4.8 MAX_RETRANSMIT */
    STUCK_ATTEMPTS = 10,          /* transmissions, each followed by something authenticated */
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
    SILENCE_MS = 300000, /* unreliable messages ask for an answer */
    SHORT_MS = 300000,   /* a session that does not last so long is short */
    SHORT_WAIT_MS = 10000,
    SHORT_WAIT_MAX_MS = 300000,
    HELLO_AGAIN_MS = 8000,
    KEPT_MS = 60000, /* a handshake that begins so soon after a cancelled one is not cancelled */
    DEFAULT_IDLE_MS = 604800000, /* 7 days */
    DEFAULT_REKEY_MS = 86400000  /* 24 h */
};
/* The ranges of settings: a session lives long enough to be used, a time fits its arithmetic. */
enum {
    KEEP_ALIVE_MIN_MS = 10,
    REKEY_AGE_MIN_MS = 1000,
    REKEY_PACKETS_MIN = 16,
    IDLE_MIN_MS = 100,
    SHORT_WAIT_MIN_MS = 1000,
    SILENCE_MIN_MS = 1000,
    TTL_MAX_MS = INT32_MAX /* times of messages are kept modulo 2^32 */
};
#define DEFAULT_REKEY_PACKETS (OURO_COUNTER_LIMIT - 0x100000)

/* Congestion window, in packets: RFC 9002 7 in packets instead of bytes. */
enum { WINDOW_START = 4, WINDOW_MIN = 2, WINDOW_MAX = 256 };
/* How far past the lowest message that is not handed on a side reads in a stream. */
enum { STREAM_REACH = 64 };
/* A client that has not heard from the server uses message counters 0 to 3 (section 3). */
enum { UNCONFIRMED_REACH = 4 };
/* Short sessions in a row: from 2 on there is a wait, doubled for each further one. */
enum { SHORTS_WAIT = 2, SHORTS_MAX = 7 };
/* seqs of one box in flight (section 6, once). */
enum { ONCE_REACH = 64 };

#endif
