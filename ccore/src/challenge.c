#include "challenge_internal.h"

#include "bytes.h"
#include "crypto.h"
#include <string.h>

enum { CHALLENGE_SLICE_MS = 60000, SLICE_MIN_MS = 1000, SLICE_MAX_MS = 3600000 };

bool ouro_challenge_slice_fits(const ouro_server_settings *settings) {
    uint32_t slice = settings->challenge_slice_ms;
    return slice == 0 || (slice >= SLICE_MIN_MS && slice <= SLICE_MAX_MS);
}

/* Of this server's time, or of all gateways' that share its challenge key. */
static uint64_t slice_at(const ouro_server *server, uint64_t now) {
    uint32_t slice = server->settings->challenge_slice_ms;
    return (now + server->wall_offset) / (slice != 0 ? slice : CHALLENGE_SLICE_MS);
}

static ouro_status make_challenge(const uint8_t key[32], uint64_t slice, const ouro_hello *hello,
                                  uint8_t challenge[16]) {
    uint8_t number[8], mac[32] = {0};
    ouro_hmac hmac;
    ouro_span parts[3] = {{number, sizeof number},
                          {hello->device_id, sizeof hello->device_id},
                          {hello->nonce, sizeof hello->nonce}};
    store_u64(number, slice);
    ouro_status status = ouro_hmac_init(&hmac, key);
    if (status == OURO_OK)
        status = ouro_hmac_mac(&hmac, parts, 3, mac);
    ouro_hmac_clear(&hmac);
    memcpy(challenge, mac, OURO_CHALLENGE_SIZE);
    ouro_erase(mac, sizeof mac);
    return status;
}

ouro_status ouro_challenge_make(const ouro_server *server, uint64_t now, const ouro_hello *hello,
                                uint8_t challenge[OURO_CHALLENGE_SIZE]) {
    return make_challenge(server->challenge_key, slice_at(server, now), hello, challenge);
}

/* A challenge of this slice of time or of the last one holds. */
static bool holds_under(const uint8_t key[32], uint64_t slice, const ouro_hello *hello) {
    uint8_t challenge[OURO_CHALLENGE_SIZE];
    for (unsigned back = 0; back < 2 && back <= slice; back++)
        if (make_challenge(key, slice - back, hello, challenge) == OURO_OK &&
            ouro_equal(challenge, hello->challenge, sizeof challenge))
            return true;
    return false;
}

bool ouro_challenge_holds(const ouro_server *server, uint64_t now, const ouro_hello *hello) {
    uint64_t slice = slice_at(server, now);
    if (!hello->has_challenge)
        return false;
    return holds_under(server->challenge_key, slice, hello) ||
           (server->has_second && holds_under(server->second_challenge_key, slice, hello));
}
