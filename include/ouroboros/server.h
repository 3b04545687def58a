/*
 * A server's handshakes (section 3): what stands between a HELLO and a confirmed session. The
 * caller keeps the registry of devices and the table of links by session id:
 *
 *     HELLO     ouro_hello_read gives the device id; look the device up; ouro_server_hello answers
 *     packet    of a session id no link holds: ouro_server_pending, then ouro_server_open; on OK
 *               find or make the device's link and call ouro_server_adopt
 *
 * When a call says `moved`, the device's credential has a new epoch: make it durable before the
 * answer is sent (ouro_server_hello), or call ouro_link_epoch_saved after that (ouro_server_adopt).
 *
 * Of several gateways with one registry, sessions of fixed credentials have a number, too (Appendix
 * B 28 to 30): set `generation` of the device before ouro_server_hello, and between
 * ouro_server_open and ouro_server_adopt move the registry from the pending session's `number` to
 * the next.
 */
#ifndef OUROBOROS_SERVER_H
#define OUROBOROS_SERVER_H

#include "ouroboros/link.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OURO_PENDING_SLOTS 8
#define OURO_PENDING_PER_DEVICE 4
#define OURO_PENDING_MS 60000
#define OURO_DRAIN_MS 60000
#define OURO_EPOCHS_AHEAD 1024
#define OURO_AHEAD_DEVICES 16 /* what the protocol text proposes; the caller's arrays decide */

typedef struct ouro_pending ouro_pending;

/* A number of tries that is refilled with time. */
typedef struct ouro_allowance {
    uint64_t since_ms;
    uint32_t left;
    bool set;
} ouro_allowance;

/* What a server keeps of a device between handshakes. */
typedef struct ouro_device {
    ouro_credential credential;
    uint64_t generation;     /* of a fixed one: as the registry had it when a HELLO was looked up */
    ouro_pending *pending;   /* newest first */
    ouro_allowance confirms; /* sessions confirmed */
    ouro_allowance moves;    /* epochs moved by a HELLO ahead of its server */
    uint64_t ahead_ms;       /* when keys ahead were last derived for it, since it last moved */
    uint64_t kind_ms;        /* when DROP_KIND was last told */
    bool ahead_made, kind_told;
} ouro_device;

struct ouro_pending {
    ouro_pending *next; /* of the device, or of the free list */
    ouro_device *device;
    uint64_t created_ms;
    uint64_t number; /* the epoch, or generation, that it was made from */
    uint32_t id;
    uint8_t hello[OURO_HELLO_MAX], welcome[OURO_WELCOME_SIZE];
    uint8_t hello_len;
    bool fresh;   /* it answered a challenge: counted apart */
    bool derived; /* the session is there, and with an evolving credential the next epoch's key */
    ouro_session session;
    uint8_t next_key[OURO_KEY_SIZE];
    ouro_slot slots[OURO_PENDING_SLOTS];
};

/* K_auth of the epochs e + 2 to e + 1024 of one device. */
typedef struct ouro_ahead {
    const ouro_device *device;
    uint64_t epoch; /* e */
    uint64_t made_ms;
    uint8_t auth[OURO_EPOCHS_AHEAD - 1][OURO_KEY_SIZE];
} ouro_ahead;

/* Zero means the default that is named. */
typedef struct ouro_server_settings {
    uint8_t reach;               /* advertised: 4 to 64 */
    uint16_t max_body;           /* advertised: 64 to 1200 */
    bool stream;                 /* sessions have no slots, and counters run in order */
    uint16_t id_prefix;          /* the upper bits of each session id: whose session it is */
    uint8_t id_prefix_bits;      /* how many there are: 0 to 16 */
    uint32_t confirm_burst;      /* sessions of one device confirmed at once: 60 */
    uint32_t confirm_period_ms;  /* and one in so many ms after that: 1,000 */
    uint32_t derivations_second; /* budget for epochs ahead: 10,000; at least 2,046 are kept */
    uint32_t challenge_slice_ms; /* a challenge holds for this one of them and the next, alike on
                                    all gateways of a fleet: 60,000; 1,000 to 3,600,000 */
} ouro_server_settings;

typedef struct ouro_server {
    const ouro_server_settings *settings;
    ouro_pending *pending;
    ouro_pending *free;
    ouro_ahead *ahead; /* ahead_count of them; NULL: no jump of more than one epoch */
    size_t pending_count, pending_used, ahead_count;
    uint64_t budget_ms;
    uint64_t budget; /* derivations left */
    uint64_t wall_offset;
    uint8_t challenge_key[32], second_challenge_key[32];
    bool has_second; /* challenges under the second one hold, too */
} ouro_server;

/* An authenticated first packet, between ouro_server_open and ouro_server_adopt. */
typedef struct ouro_opened {
    ouro_header header;
    ouro_body body;
    ouro_status status; /* OK or DROP_NONSENSE */
} ouro_opened;

/*
 * Makes a server over the caller's arrays. `challenge_key` is K_ch: 32 random bytes, new at each
 * start (or shared by a fleet's gateways). ERR_ARGUMENT when something is out of its range: the
 * server then answers nothing.
 */
OURO_CHECKED ouro_status ouro_server_init(ouro_server *server, const ouro_server_settings *settings,
                                          ouro_pending *pending, size_t pending_count,
                                          ouro_ahead *ahead, size_t ahead_count,
                                          const uint8_t challenge_key[32], uint64_t now_ms);

/*
 * Challenges are counted in slices of wall time from now on, so that those of gateways with one
 * challenge key hold at each. To be called again when the wall clock may have been set.
 */
void ouro_server_set_wall_clock(ouro_server *server, uint64_t now_ms, uint64_t wall_ms);

/*
 * The challenge key of a fleet's second secret (NULL: none any more), while one is replaced: add
 * the new one as second everywhere, make it the first everywhere, then remove the old one.
 * Challenges are made under the first and hold under either.
 */
void ouro_server_set_second_challenge_key(ouro_server *server, const uint8_t challenge_key[32]);

/*
 * A session id of this server from 32 random bits; 0, which is no session, when the server has no
 * prefix and the bits are 0: draw again.
 */
uint32_t ouro_server_session_id(const ouro_server_settings *settings, uint32_t random);

void ouro_device_init(ouro_device *device, const ouro_credential *credential);

/*
 * Ends the device's pending sessions that were made from a lower number: a session of this one, an
 * epoch or a generation, was confirmed at another gateway.
 */
void ouro_server_drop_pending(ouro_server *server, ouro_device *device, uint64_t number);

/* Ends the device's pending sessions and erases its key. */
void ouro_server_forget(ouro_server *server, ouro_device *device);

/*
 * Answers a HELLO of this device. `link` is the device's link, or NULL. `session_id` and `nonce`
 * are fresh random values; the id is ouro_server_session_id's and no link holds it (0, one that is
 * pending here and one of another prefix are refused with ERR_ARGUMENT: draw again). On OK
 * `welcome` is to be sent, after the credential was made durable if `*moved`. A drop is silence:
 * MALFORMED, TRANSPORT (a stream's where datagrams are, or the other way round), AUTH, HANDSHAKE
 * (it made the session that the link holds), EPOCH (spent, or too far ahead), LIMIT (come again
 * later), KIND. ERR_ARGUMENT, too, for another device's HELLO; ERR_STATE: the server was not made;
 * ERR_CRYPTO: nothing has moved, and it is silence as well.
 *
 * DROP_KIND: the HELLO is authentic, and the device or the registry has its credential as the wrong
 * kind: it will never connect until somebody mends that, so tell the operator
 * (ouro_device_tell_kind).
 */
OURO_CHECKED ouro_status ouro_server_hello(ouro_server *server, uint64_t now_ms,
                                           ouro_device *device, const ouro_link *link,
                                           const uint8_t *packet, size_t len, uint32_t session_id,
                                           const uint8_t nonce[16],
                                           uint8_t welcome[OURO_WELCOME_SIZE], bool *moved);

/* Whether a DROP_KIND of this device is to be told: at most once a minute. */
bool ouro_device_tell_kind(ouro_device *device, uint64_t now_ms);

/* The pending session of an id, or NULL. */
ouro_pending *ouro_server_pending(ouro_server *server, uint32_t session_id);

/*
 * Opens the first packet of a pending session, in place. On OK it was authentic, and is to be
 * followed by ouro_server_adopt: at once, or once the session's number is durable, if the packet is
 * kept, nothing else of the session is opened and it is pending still. Anything else is a drop:
 * MALFORMED, HANDSHAKE, SESSION (too old, or NULL), LIMIT (too many of this device were confirmed),
 * REPLAY, AHEAD, DUPLICATE, AUTH; or ERR_CRYPTO, which is as one.
 */
OURO_CHECKED ouro_status ouro_server_open(ouro_server *server, uint64_t now_ms,
                                          ouro_pending *pending, uint8_t *packet, size_t len,
                                          ouro_opened *opened);

/*
 * Confirms the session: the link takes it as its newest, and the packet as its first; an older
 * session drains for 60 s. The pending entry is gone after this. With `*moved` the link sends and
 * hands on nothing until ouro_link_epoch_saved. ERR_STATE when the link closes, or still has a
 * message to hand on, or is not made as the server is (role, reach, stream): the pending session is
 * gone then too, and the device makes another. ERR_ARGUMENT without an address, or with one that is
 * too long: nothing has happened. It does not fail otherwise.
 */
OURO_CHECKED ouro_status ouro_server_adopt(ouro_server *server, uint64_t now_ms,
                                           ouro_pending *pending, ouro_link *link,
                                           const ouro_addr *from, const ouro_opened *opened,
                                           bool *moved);

/* Ends the pending sessions that are too old; returns when to be called next. */
uint64_t ouro_server_tick(ouro_server *server, uint64_t now_ms);

void ouro_server_erase(ouro_server *server);

#ifdef __cplusplus
}
#endif

#endif
