/*
 * One session's keys (sections 4 and 5): protect and open, with nothing said of when. A link drives
 * sessions for you; use this module alone to protect packets whose delivery is somebody else's.
 *
 * A tail is what is left of an older session on a client with one message window: it still
 * acknowledges, is acknowledged and closes, but opens no DATA. A session begins with its tail.
 */
#ifndef OUROBOROS_SESSION_H
#define OUROBOROS_SESSION_H

#include "ouroboros/aead.h"
#include "ouroboros/packet.h"
#include "ouroboros/ratchet.h"
#include "ouroboros/scramble.h"
#include "ouroboros/window.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ouro_role { OURO_CLIENT = 0, OURO_SERVER = 1 } ouro_role;

#define OURO_PREPARED_STREAM 160

/*
 * The keys, the schedule and the scramble's keystream of the next message, made while idle. Sending
 * then costs AES-GCM and the exchange alone. Bodies above 96 bytes make their keystream anew.
 */
typedef struct ouro_prepared {
    ouro_aead aead;
    uint8_t secret[64]; /* message_enc || message_scr */
    uint8_t stream[OURO_PREPARED_STREAM + OURO_STREAM_SPARE];
    uint16_t body_len; /* `stream` is for bodies of this length exactly */
    bool keyed;        /* the secret is there */
    bool ready;        /* the schedule and the keystream are there too */
} ouro_prepared;

/* ouro_tail.state: it is the head of an ouro_session. */
enum { OURO_TAIL_FULL = 0x8000 };

typedef struct ouro_tail {
    uint32_t id;
    uint8_t close_count;
    uint8_t peer_reach; /* how far past the highest acknowledged counter this side may go */
    uint16_t peer_max_body;
    uint8_t tx_control[32], rx_control[32];
    uint64_t tx_control_next;
    uint64_t rx_control_next;
    uint64_t rx_control_seen; /* bit i: rx_control_next - 1 - i */
    uint32_t tx_next;         /* the next message counter; 2^32 - 1 is never used */
    uint32_t acked_next;      /* the highest message counter the peer acknowledged, + 1 */
    uint64_t done_next;       /* the highest message counter that was handed on, + 1 */
    uint64_t done_bitmap;     /* the ack block's bitmap below it */
    uint64_t retire_ms;       /* when an older session ends at the latest */
    uint32_t close_ms;        /* when CLOSE was last sent, modulo 2^32 */
    uint16_t state;           /* OURO_TAIL_FULL, and the link's flags */
    uint8_t close_phase;
    uint8_t close_reason;
} ouro_tail;

typedef struct ouro_path ouro_path;

typedef struct ouro_session {
    ouro_tail tail;
    ouro_window window;
    uint8_t tx_enc[32], tx_scr[32];
    uint64_t renew_ms; /* when it is old enough to be replaced */
    uint64_t gap_next; /* holes below it were reported; in a stream: counters below it were named */
    ouro_prepared *prepared; /* NULL without */
    ouro_path *path;         /* addresses, at a server; NULL at a client */
} ouro_session;

/*
 * A session from its two secrets, over `2 * reach` slots (NULL for a stream). `reach` is what this
 * side advertised. The secrets are the caller's to erase. ERR_ARGUMENT when there are slots and
 * `reach` is not 4 to 64; ERR_CRYPTO: nothing of the session is left.
 */
OURO_CHECKED ouro_status ouro_session_init(ouro_session *session, ouro_role role, uint32_t id,
                                           const uint8_t k_c2s[32], const uint8_t k_s2c[32],
                                           ouro_slot *slots, uint8_t reach);

/*
 * Protects in place: `packet` holds the body at offset 16, and has room for 16 + body_len + 16
 * bytes. Takes the next counter of the type's space; the counter stands in `*counter`. ERR_ARGUMENT
 * for a type that is no session's and for more than 1200 bytes; END_LIMIT when the counters are
 * used up (the last 65,536 control counters are for ACK and CLOSE); ERR_CRYPTO: the packet is
 * zeroed, and no key or counter has moved.
 */
OURO_CHECKED ouro_status ouro_session_protect(ouro_session *session, uint8_t type, uint8_t flags,
                                              uint8_t *packet, size_t body_len, uint64_t *counter);

/* The same for a control packet, of a session or of a tail. */
OURO_CHECKED ouro_status ouro_tail_protect(ouro_tail *tail, uint8_t type, uint8_t flags,
                                           uint8_t *packet, size_t body_len, uint64_t *counter);

/*
 * Opens a DATA packet that ouro_packet_decode let pass, in place, and commits its counter. On
 * DROP_NONSENSE the packet was authentic and its counter is spent; on any other failure nothing has
 * moved but the keys derived on the way: DROP_SESSION (another's), DROP_REPLAY, DROP_AHEAD,
 * DROP_DUPLICATE (see ouro_window_check), DROP_AUTH, ERR_CRYPTO. A body that does not verify is
 * zeroed.
 */
OURO_CHECKED ouro_status ouro_session_open(ouro_session *session, const ouro_header *header,
                                           uint8_t *packet, ouro_body *body);

/* The same for a control packet, which is never AHEAD and never a DUPLICATE. */
OURO_CHECKED ouro_status ouro_tail_open(ouro_tail *tail, const ouro_header *header, uint8_t *packet,
                                        ouro_body *body);

/*
 * Makes the next message's keys ahead; `body_len` is the length that is expected (a message of
 * another length costs its keystream again). Does nothing without `prepared`. ERR_ARGUMENT above
 * 1200 bytes; ERR_CRYPTO: what is missing is made when the message is.
 */
OURO_CHECKED ouro_status ouro_session_prepare(ouro_session *session, size_t body_len);

/* Names a message counter as handed on. */
void ouro_tail_done(ouro_tail *tail, uint64_t counter);

/* The ack block to send; false while there is none. */
bool ouro_tail_ack_block(const ouro_tail *tail, ouro_ack_block *block);

void ouro_prepared_erase(ouro_prepared *prepared);
void ouro_tail_erase(ouro_tail *tail);
void ouro_session_erase(ouro_session *session);

#ifdef __cplusplus
}
#endif

#endif
