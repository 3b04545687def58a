/*
 * What gateways of one fleet send each other: packets of devices that landed on the wrong one, and
 * the answers to them. A forward is sealed with AES-256-GCM under a key that is derived from the
 * fleet secret for one run of the gateway that sends it, and is taken once.
 *
 *     u8 kind || u8 from || u8 to || u8 address length || run 16 || u64 wall ms || u64 number
 *     || address || packet || tag 16
 *
 * The 36 bytes before the address are authenticated, what follows is encrypted too.
 */
#ifndef OUROBOROS_FLEET_H
#define OUROBOROS_FLEET_H

#include "ouroboros/link.h"
#include "ouroboros/ratchet.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OURO_RUN_SIZE 16
#define OURO_FORWARD_HEADER 36
#define OURO_FORWARD_MAX                                                                           \
    (OURO_FORWARD_HEADER + (int)sizeof(((ouro_addr *)0)->bytes) + OURO_MAX_PACKET + OURO_TAG_SIZE)
/* How far two gateways' clocks, and the time under way, may be apart. */
#define OURO_FORWARD_FRESH_MS 30000

typedef enum ouro_forward_kind {
    OURO_FORWARD_TO_OWNER = 0xf1, /* a device's packet; the address is where it came from */
    OURO_FORWARD_TO_DEVICE = 0xf2 /* the answer; the address is where it is to go */
} ouro_forward_kind;

typedef struct ouro_forward {
    ouro_forward_kind kind;
    ouro_addr address;
    const uint8_t *packet;
    size_t len;
} ouro_forward;

/* What one gateway forwards to another. */
typedef struct ouro_forwarder {
    ouro_aead aead;
    uint64_t number; /* of the last one */
    uint8_t from, to;
    uint8_t run[OURO_RUN_SIZE];
} ouro_forwarder;

/* What one gateway takes from another. */
typedef struct ouro_forward_window {
    ouro_aead aead;
    uint64_t highest, below; /* bit i of `below` stands for highest - 1 - i */
    uint64_t newest_ms;
    uint8_t from, to;
    uint8_t secret[OURO_KEY_SIZE], second[OURO_KEY_SIZE];
    uint8_t run[OURO_RUN_SIZE];
    bool known;      /* a run was heard */
    bool has_second; /* the fleet's secret is being replaced */
} ouro_forward_window;

/*
 * `run` is 16 fresh random bytes: keys and nonces never come again after a restart. OK or
 * ERR_CRYPTO.
 */
OURO_CHECKED ouro_status ouro_forwarder_init(ouro_forwarder *forwarder,
                                             const uint8_t fleet_secret[32], uint8_t from,
                                             uint8_t to, const uint8_t run[OURO_RUN_SIZE]);

/*
 * Writes a forward of at most OURO_FORWARD_MAX bytes. ERR_ARGUMENT: an address or a packet that is
 * too long or is not there, or another kind; ERR_CRYPTO.
 */
OURO_CHECKED ouro_status ouro_forward_seal(ouro_forwarder *forwarder, uint64_t wall_ms,
                                           const ouro_forward *forward, uint8_t *out, size_t *len);

void ouro_forward_window_init(ouro_forward_window *window, const uint8_t fleet_secret[32],
                              uint8_t from, uint8_t to);

/*
 * The fleet's second secret (NULL: none any more), while one is replaced: a forward of a run that
 * is not known yet may be under it, too. Seal under the first (ouro_forwarder_init).
 */
void ouro_forward_window_set_second(ouro_forward_window *window, const uint8_t fleet_secret[32]);

/* Who says to have sent it, 0 for what is no forward: nothing is verified. */
uint8_t ouro_forward_sender(const uint8_t *data, size_t len);

/*
 * Opens a forward in place; `forward->packet` points into it. MALFORMED: no forward, or one for
 * another gateway; AUTH: not of this fleet; REPLAY: taken before, or too late; AHEAD: the clocks
 * are more than OURO_FORWARD_FRESH_MS apart; or ERR_CRYPTO. Only what is authentic moves the
 * window.
 */
OURO_CHECKED ouro_status ouro_forward_open(ouro_forward_window *window, uint64_t wall_ms,
                                           uint8_t *data, size_t len, ouro_forward *forward);

void ouro_forwarder_erase(ouro_forwarder *forwarder);
void ouro_forward_window_erase(ouro_forward_window *window);

#ifdef __cplusplus
}
#endif

#endif
