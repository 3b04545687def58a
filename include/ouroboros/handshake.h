/*
 * HELLO and WELCOME (section 3), without state: bytes in, bytes out. Every function is
 * deterministic; nonces and ids are arguments. Each that uses a key says ERR_CRYPTO when the crypto
 * library failed, and each that takes a whole HELLO says ERR_ARGUMENT when it is not 60 or 76
 * bytes.
 */
#ifndef OUROBOROS_HANDSHAKE_H
#define OUROBOROS_HANDSHAKE_H

#include "ouroboros/packet.h"
#include "ouroboros/ratchet.h"
#include "ouroboros/session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OURO_HELLO_SIZE 60
#define OURO_HELLO_MAX 76 /* with a challenge */
#define OURO_WELCOME_SIZE 52
#define OURO_CHALLENGE_SIZE 16

typedef struct ouro_hello {
    uint8_t device_id[OURO_DEVICE_ID_SIZE];
    uint8_t nonce[OURO_NONCE_SIZE];
    uint64_t epoch;
    bool stream;     /* the handshake goes over a stream */
    bool evolving;   /* the kind of the credential */
    uint8_t compact; /* what stands in OURO_FLAG_COMPACT; 0 asks for no compact framing */
    uint8_t reach;
    uint8_t top; /* highest version spoken, minus 1 */
    uint16_t max_body;
    bool has_challenge;
    uint8_t challenge[OURO_CHALLENGE_SIZE];
} ouro_hello;

typedef struct ouro_welcome {
    uint32_t session_id; /* 0: a challenge, which stands in `nonce` */
    uint64_t epoch;
    bool stream; /* as in the HELLO that it answers */
    uint8_t nonce[OURO_NONCE_SIZE];
    uint8_t reach;
    uint8_t top;
    uint16_t max_body;
} ouro_welcome;

/*
 * Writes a HELLO; `*len` is 60, or 76 with a challenge. ERR_ARGUMENT: reach or max_body out of
 * range.
 */
OURO_CHECKED ouro_status ouro_hello_write(const ouro_hello *hello, const uint8_t auth_key[32],
                                          uint8_t packet[OURO_HELLO_MAX], size_t *len);

/*
 * Takes a HELLO apart and checks its ranges, or DROP_MALFORMED; the tag is not looked at. Whether
 * it came the way that `stream` says is for the caller to see; ouro_server_hello does.
 */
OURO_CHECKED ouro_status ouro_hello_read(const uint8_t *packet, size_t len, ouro_hello *hello);

/* The tag of a HELLO that ouro_hello_read let pass: OK or DROP_AUTH. */
OURO_CHECKED ouro_status ouro_hello_verify(const uint8_t auth_key[32], const uint8_t *packet,
                                           size_t len);

/* Writes the WELCOME that answers a whole HELLO packet. */
OURO_CHECKED ouro_status ouro_welcome_write(const ouro_welcome *welcome, const uint8_t auth_key[32],
                                            const uint8_t *hello, size_t hello_len,
                                            uint8_t packet[OURO_WELCOME_SIZE]);

/*
 * Takes a WELCOME apart and checks its ranges, or DROP_MALFORMED; neither tag nor epoch is looked
 * at.
 */
OURO_CHECKED ouro_status ouro_welcome_parse(const uint8_t *packet, size_t len,
                                            ouro_welcome *welcome);

/*
 * Takes a WELCOME apart, checks its ranges and its epoch (DROP_MALFORMED) and its tag (DROP_AUTH)
 * against the HELLO that it answers. DROP_TRANSPORT where one is for a stream and the other for
 * datagrams.
 */
OURO_CHECKED ouro_status ouro_welcome_read(const uint8_t auth_key[32], const uint8_t *hello,
                                           size_t hello_len, const uint8_t *packet, size_t len,
                                           ouro_welcome *welcome);

/*
 * The session that a HELLO and its WELCOME (whole packets, verified) make. `credential` is of the
 * packets' epoch. What the peer advertised is taken from the packets.
 */
OURO_CHECKED ouro_status ouro_handshake_session(ouro_session *session, ouro_role role,
                                                const ouro_credential *credential,
                                                const uint8_t *hello, size_t hello_len,
                                                const uint8_t welcome[OURO_WELCOME_SIZE],
                                                ouro_slot *slots, uint8_t reach);

#ifdef __cplusplus
}
#endif

#endif
