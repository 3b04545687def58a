/*
 * Keys (sections 1, 3 and 4). Everything is HKDF-Expand over HMAC-SHA256 with 16-byte labels.
 * All keys are 32 bytes. Each function says OURO_OK, or OURO_ERR_CRYPTO when the crypto library
 * failed: every output is then zeroed, and a key that was to move stands where it stood.
 */
#ifndef OUROBOROS_RATCHET_H
#define OUROBOROS_RATCHET_H

#include "ouroboros/secret.h"
#include "ouroboros/status.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OURO_DEVICE_ID_SIZE 8
#define OURO_NONCE_SIZE 16

/*
 * What a device and its gateway share. A fixed credential stays at epoch 0 for ever; an evolving
 * one moves one epoch a handshake, and the key it leaves is erased. To store it see blob.h.
 */
typedef struct ouro_credential {
    uint8_t device_id[OURO_DEVICE_ID_SIZE];
    uint8_t key[OURO_KEY_SIZE]; /* K_e of `epoch` */
    uint64_t epoch;
    bool evolving;
    uint8_t shorts; /* a client's: sessions in a row that did not last (section 3); it is stored
                       with key and epoch, in one write, and given back with them; 0 at first */
} ouro_credential;

/* K_root of a device, from the fleet's key. */
OURO_CHECKED ouro_status ouro_fleet_root_key(const uint8_t fleet_key[32],
                                             const uint8_t device_id[8], uint8_t root_key[32]);

/* K_ch of the gateways that share a fleet secret: a challenge made at one holds at each. */
OURO_CHECKED ouro_status ouro_fleet_challenge_key(const uint8_t fleet_secret[32],
                                                  uint8_t challenge_key[32]);

/* K_e of `epoch + steps`, in place of K_e of `epoch`. */
OURO_CHECKED ouro_status ouro_epoch_advance(uint8_t epoch_key[32], uint64_t epoch, uint64_t steps);

/* K_auth of an epoch: the key of the tags of HELLO and WELCOME. */
OURO_CHECKED ouro_status ouro_auth_key(const uint8_t epoch_key[32], uint64_t epoch,
                                       uint8_t auth_key[32]);

/* K_ses of an epoch: the input keying material of its sessions. */
OURO_CHECKED ouro_status ouro_session_ikm(const uint8_t epoch_key[32], uint64_t epoch,
                                          uint8_t session_ikm[32]);

/* K_c2s and K_s2c, from K_ses, both nonces and the transcript hash TH. */
OURO_CHECKED ouro_status ouro_session_secrets(const uint8_t session_ikm[32],
                                              const uint8_t nonce_c[16], const uint8_t nonce_s[16],
                                              const uint8_t transcript[32], uint8_t k_c2s[32],
                                              uint8_t k_s2c[32]);

/* K_ctl of a direction. */
OURO_CHECKED ouro_status ouro_control_key(const uint8_t direction_key[32], uint8_t control_key[32]);

/*
 * One step of both chains of a direction: on entry the chain keys are K_{n-1}, on return K_n, and
 * `message_enc`, `message_scr` are the keys of message n alone.
 */
OURO_CHECKED ouro_status ouro_chain_step(uint8_t chain_enc[32], uint8_t chain_scr[32], uint64_t n,
                                         uint8_t message_enc[32], uint8_t message_scr[32]);

/*
 * A nonce for a device whose random bytes may repeat across reboots (section 3, freshness): `count`
 * is a number that the caller counts up durably before each HELLO.
 */
OURO_CHECKED ouro_status ouro_counted_nonce(const uint8_t epoch_key[32], uint64_t count,
                                            const uint8_t randomness[16], uint8_t nonce[16]);

#ifdef __cplusplus
}
#endif

#endif
