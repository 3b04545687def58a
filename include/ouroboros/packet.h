/*
 * Packets (section 2): a 16-byte header, a body of 0 to 1200 bytes, a 16-byte tag. Decoding checks
 * everything that needs no key and reads nothing past the length it is given.
 */
#ifndef OUROBOROS_PACKET_H
#define OUROBOROS_PACKET_H

#include "ouroboros/status.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OURO_VERSION 1
#define OURO_HEADER_SIZE 16
#define OURO_TAG_SIZE 16
#define OURO_OVERHEAD 32
#define OURO_MAX_BODY 1200
#define OURO_MIN_MAX_BODY 64
#define OURO_MAX_PACKET (OURO_OVERHEAD + OURO_MAX_BODY)
#define OURO_ACK_BLOCK_SIZE 16
#define OURO_ONCE_SIZE 8
#define OURO_PING_MAX 64
#define OURO_MIN_REACH 4
#define OURO_MAX_REACH 64
/* Counters at and above this are never sent, and dropped. */
#define OURO_COUNTER_LIMIT UINT64_C(0x100000000)

typedef enum ouro_type {
    OURO_DATA = 1,
    OURO_ACK = 2,
    OURO_NACK = 3,
    OURO_PING = 4,
    OURO_PONG = 5,
    OURO_HELLO = 6,
    OURO_WELCOME = 7,
    OURO_CLOSE = 8
} ouro_type;

enum {
    OURO_FLAG_ACK_REQ = 0x01,
    OURO_FLAG_ACKS = 0x02,
    OURO_FLAG_BATCH = 0x04,
    OURO_FLAG_ONCE = 0x08,
    /* of HELLO and WELCOME */
    OURO_FLAG_STREAM = 0x80,   /* the handshake goes over a stream */
    OURO_FLAG_EVOLVING = 0x40, /* HELLO: the credential is an evolving one */
    OURO_FLAG_COMPACT = 0x1f   /* HELLO: the bits that ask for compact framing; 0 asks for none */
};

enum { OURO_NACK_GAP = 1, OURO_NACK_BUSY = 2 };

/* Reasons of a CLOSE. */
typedef enum ouro_reason {
    OURO_REASON_NORMAL = 0,
    OURO_REASON_IDLE = 1,
    OURO_REASON_REKEY = 2,
    OURO_REASON_SHUTDOWN = 3,
    OURO_REASON_PROTOCOL = 4
} ouro_reason;

typedef struct ouro_header {
    uint8_t type;
    uint8_t flags;
    uint16_t length; /* bytes of the body */
    uint32_t session_id;
    uint64_t counter;
} ouro_header;

/* Message counters that were authenticated and handed on. */
typedef struct ouro_ack_block {
    uint64_t highest;
    uint64_t bitmap; /* bit i: highest - 1 - i */
} ouro_ack_block;

/* An opened body, taken apart. Pointers lie in the body. */
typedef struct ouro_body {
    bool has_acks;
    ouro_ack_block acks;
    bool once;
    uint32_t box, seq;
    const uint8_t *data; /* what is left: application bytes, a batch, or a control's own bytes */
    size_t len;
    uint8_t reason; /* NACK, CLOSE */
    uint64_t sent;  /* CLOSE: the closer's next message counter */
} ouro_body;

/* The check of section 2.3 that a packet fails, for those who have to tell people. */
typedef enum ouro_flaw {
    OURO_FLAW_NONE = 0,
    OURO_FLAW_SHORT,        /* fewer than 32 bytes */
    OURO_FLAW_VERSION,      /* another version */
    OURO_FLAW_TYPE,         /* no such type */
    OURO_FLAW_FLAGS,        /* a flag that the type does not allow */
    OURO_FLAW_FLAG_MISSING, /* a flag that the type requires */
    OURO_FLAW_LONG,         /* Length is above 1200 */
    OURO_FLAW_SIZE,         /* Length does not fit the packet's size */
    OURO_FLAW_LENGTH,       /* Length is impossible for the type and flags */
    OURO_FLAW_MAX_BODY,     /* Length is above what the receiver takes */
    OURO_FLAW_SESSION,      /* a session id where there is none, or none where there is one */
    OURO_FLAW_COUNTER,      /* a counter of 2^32 or above */
    OURO_FLAW_EPOCH,        /* HELLO without EVOLVING: an epoch other than 0 */
    OURO_FLAW_TERMS         /* HELLO, WELCOME: reach or max_body out of range */
} ouro_flaw;

/*
 * The first check that a packet fails. `header` is what stands there, right or wrong; zero where
 * the packet is too short for it. (OURO_FLAW_TERMS is ouro_hello_read's and ouro_welcome_parse's.)
 */
ouro_flaw ouro_packet_examine(const uint8_t *packet, size_t len, size_t max_body,
                              ouro_header *header);

/*
 * Checks a whole packet of `len` bytes against section 2, with `max_body` this side's own limit.
 * DROP_MALFORMED when a check fails.
 */
OURO_CHECKED ouro_status ouro_packet_decode(const uint8_t *packet, size_t len, size_t max_body,
                                            ouro_header *header);

/* Writes the 16 bytes of header and counter. */
void ouro_packet_encode(const ouro_header *header, uint8_t out[16]);

/* The session id of a packet of at least 8 bytes; 0 is HELLO, a challenge, or less than 8 bytes. */
uint32_t ouro_packet_session_id(const uint8_t *packet, size_t len);

/*
 * Takes an opened body apart. DROP_NONSENSE when it does not parse. In a stream the bitmap of an
 * ack block is not looked at.
 */
OURO_CHECKED ouro_status ouro_body_parse(const ouro_header *header, const uint8_t *body,
                                         bool stream, ouro_body *out);

/* True if the block names `counter`, over datagrams. In a stream `highest` names all up to it. */
bool ouro_ack_block_names(const ouro_ack_block *block, uint64_t counter);

/*
 * Appends one item, `u16 length || bytes`, to a batch of `*len` bytes in a buffer of `cap`.
 * ERR_TOO_LARGE when it does not fit; the batch is then as it was.
 */
OURO_CHECKED ouro_status ouro_batch_append(uint8_t *batch, size_t cap, size_t *len,
                                           const uint8_t *item, size_t item_len);

/*
 * The next item of a batch: `*offset` starts at 0 and moves on. False at the end, and where the
 * batch does not parse.
 */
bool ouro_batch_next(const uint8_t *batch, size_t len, size_t *offset, const uint8_t **item,
                     size_t *item_len);

#ifdef __cplusplus
}
#endif

#endif
