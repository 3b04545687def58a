#include "ratchet_internal.h"

#include "bytes.h"
#include "crypto.h"
#include <string.h>

#define LABEL_SIZE 16

/* Expand(prk, label || suffix, 32) with the PRK's pads already absorbed (RFC 5869 2.3, T(1)). */
static ouro_status expand(const ouro_hmac *prk, const char *label, const uint8_t *suffix,
                          size_t suffix_len, uint8_t out[32]) {
    static const uint8_t one = 1;
    ouro_span parts[3] = {{(const uint8_t *)label, LABEL_SIZE}, {suffix, suffix_len}, {&one, 1}};
    return ouro_hmac_mac(prk, parts, 3, out);
}

static ouro_status expand_once(const uint8_t prk[32], const char *label, const uint8_t *suffix,
                               size_t suffix_len, uint8_t out[32]) {
    ouro_hmac hmac;
    ouro_status status = ouro_hmac_init(&hmac, prk);
    if (status == OURO_OK)
        status = expand(&hmac, label, suffix, suffix_len, out);
    ouro_hmac_clear(&hmac);
    if (status != OURO_OK)
        ouro_erase(out, 32);
    return status;
}

static ouro_status expand_numbered(const uint8_t prk[32], const char *label, uint64_t number,
                                   uint8_t out[32]) {
    uint8_t suffix[8];
    store_u64(suffix, number);
    return expand_once(prk, label, suffix, sizeof suffix, out);
}

ouro_status ouro_fleet_root_key(const uint8_t fleet_key[32], const uint8_t device_id[8],
                                uint8_t root_key[32]) {
    return expand_once(fleet_key, "OUROBOROS_DEV_V1", device_id, OURO_DEVICE_ID_SIZE, root_key);
}

ouro_status ouro_fleet_challenge_key(const uint8_t fleet_secret[32], uint8_t challenge_key[32]) {
    return expand_once(fleet_secret, "OUROBOROS_CHA_V1", NULL, 0, challenge_key);
}

ouro_status ouro_fleet_forward_key(const uint8_t fleet_secret[32], const uint8_t *context,
                                   size_t context_len, uint8_t forward_key[32]) {
    return expand_once(fleet_secret, "OUROBOROS_FWD_V1", context, context_len, forward_key);
}

ouro_status ouro_epoch_advance(uint8_t epoch_key[32], uint64_t epoch, uint64_t steps) {
    /* All steps or none: a hash that fails must not leave the key of another epoch behind. */
    uint8_t key[OURO_KEY_SIZE], next[OURO_KEY_SIZE];
    ouro_status status = OURO_OK;
    memcpy(key, epoch_key, sizeof key);
    for (uint64_t i = 1; i <= steps && status == OURO_OK; i++) {
        status = expand_numbered(key, "OUROBOROS_EPO_V1", epoch + i, next);
        memcpy(key, next, sizeof key);
    }
    if (status == OURO_OK)
        memcpy(epoch_key, key, sizeof key);
    ouro_erase(key, sizeof key);
    ouro_erase(next, sizeof next);
    return status;
}

ouro_status ouro_auth_key(const uint8_t epoch_key[32], uint64_t epoch, uint8_t auth_key[32]) {
    return expand_numbered(epoch_key, "OUROBOROS_AUT_V1", epoch, auth_key);
}

ouro_status ouro_session_ikm(const uint8_t epoch_key[32], uint64_t epoch, uint8_t session_ikm[32]) {
    return expand_numbered(epoch_key, "OUROBOROS_SES_V1", epoch, session_ikm);
}

ouro_status ouro_session_secrets(const uint8_t session_ikm[32], const uint8_t nonce_c[16],
                                 const uint8_t nonce_s[16], const uint8_t transcript[32],
                                 uint8_t k_c2s[32], uint8_t k_s2c[32]) {
    uint8_t prk[32];
    uint8_t salt[2 * OURO_NONCE_SIZE];
    ouro_hmac hmac;
    ouro_span ikm = {session_ikm, OURO_KEY_SIZE};
    memcpy(salt, nonce_c, OURO_NONCE_SIZE);
    memcpy(salt + OURO_NONCE_SIZE, nonce_s, OURO_NONCE_SIZE);
    ouro_status status = ouro_hmac_init(&hmac, salt);
    if (status == OURO_OK)
        status = ouro_hmac_mac(&hmac, &ikm, 1, prk);
    if (status == OURO_OK)
        status = ouro_hmac_init(&hmac, prk);
    if (status == OURO_OK)
        status = expand(&hmac, "OUROBOROS_C2S_V1", transcript, 32, k_c2s);
    if (status == OURO_OK)
        status = expand(&hmac, "OUROBOROS_S2C_V1", transcript, 32, k_s2c);
    ouro_hmac_clear(&hmac);
    ouro_erase(prk, sizeof prk);
    if (status != OURO_OK) {
        ouro_erase(k_c2s, 32);
        ouro_erase(k_s2c, 32);
    }
    return status;
}

ouro_status ouro_control_key(const uint8_t direction_key[32], uint8_t control_key[32]) {
    return expand_once(direction_key, "OUROBOROS_CTL_V1", NULL, 0, control_key);
}

/* Both children of a chain key share its HMAC pads. */
static ouro_status step(const uint8_t chain[32], const char *chain_label, const char *message_label,
                        const uint8_t number[8], uint8_t message[32], uint8_t next[32]) {
    ouro_hmac hmac;
    ouro_status status = ouro_hmac_init(&hmac, chain);
    if (status == OURO_OK)
        status = expand(&hmac, message_label, number, 8, message);
    if (status == OURO_OK)
        status = expand(&hmac, chain_label, number, 8, next);
    ouro_hmac_clear(&hmac);
    return status;
}

ouro_status ouro_chain_step(uint8_t chain_enc[32], uint8_t chain_scr[32], uint64_t n,
                            uint8_t message_enc[32], uint8_t message_scr[32]) {
    /* Both move, or neither does: a hash that fails once must not set them apart. */
    uint8_t number[8], next_enc[OURO_KEY_SIZE], next_scr[OURO_KEY_SIZE];
    store_u64(number, n);
    ouro_status status =
        step(chain_enc, "OUROBOROS_ENC_V1", "OUROBOROS_EMK_V1", number, message_enc, next_enc);
    if (status == OURO_OK)
        status =
            step(chain_scr, "OUROBOROS_SCR_V1", "OUROBOROS_SMK_V1", number, message_scr, next_scr);
    if (status == OURO_OK) {
        memcpy(chain_enc, next_enc, sizeof next_enc);
        memcpy(chain_scr, next_scr, sizeof next_scr);
    } else {
        ouro_erase(message_enc, 32);
        ouro_erase(message_scr, 32);
    }
    ouro_erase(next_enc, sizeof next_enc);
    ouro_erase(next_scr, sizeof next_scr);
    return status;
}

ouro_status ouro_counted_nonce(const uint8_t epoch_key[32], uint64_t count,
                               const uint8_t randomness[16], uint8_t nonce[16]) {
    uint8_t suffix[8 + OURO_NONCE_SIZE], wide[32];
    store_u64(suffix, count);
    memcpy(suffix + 8, randomness, OURO_NONCE_SIZE);
    ouro_status status = expand_once(epoch_key, "OUROBOROS_NON_V1", suffix, sizeof suffix, wide);
    memcpy(nonce, wide, OURO_NONCE_SIZE);
    ouro_erase(wide, sizeof wide);
    return status;
}
