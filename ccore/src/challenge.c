#include "challenge_internal.h"

#include "bytes.h"
#include "crypto.h"
#include <string.h>

enum { CHALLENGE_SLICE_MS = 10000 };

/* Of this server's time, or of all gateways' that share its challenge key. */
static uint64_t slice_at(const ouro_server *server, uint64_t now) {
    return (now + server->wall_offset) / CHALLENGE_SLICE_MS;
}

static ouro_status make_challenge(const ouro_server *server, uint64_t slice,
                                  const ouro_hello *hello, uint8_t challenge[16]) {
    uint8_t number[8], mac[32] = {0};
    ouro_hmac hmac;
    ouro_span parts[3] = {{number, sizeof number},
                          {hello->device_id, sizeof hello->device_id},
                          {hello->nonce, sizeof hello->nonce}};
    store_u64(number, slice);
    ouro_status status = ouro_hmac_init(&hmac, server->challenge_key);
    if (status == OURO_OK)
        status = ouro_hmac_mac(&hmac, parts, 3, mac);
    ouro_hmac_clear(&hmac);
    memcpy(challenge, mac, OURO_CHALLENGE_SIZE);
    ouro_erase(mac, sizeof mac);
    return status;
}

ouro_status ouro_challenge_make(const ouro_server *server, uint64_t now, const ouro_hello *hello,
                                uint8_t challenge[OURO_CHALLENGE_SIZE]) {
    return make_challenge(server, slice_at(server, now), hello, challenge);
}

/* A challenge of this slice of time or of the last one holds. */
bool ouro_challenge_holds(const ouro_server *server, uint64_t now, const ouro_hello *hello) {
    uint64_t slice = slice_at(server, now);
    uint8_t challenge[OURO_CHALLENGE_SIZE];
    for (unsigned back = 0; hello->has_challenge && back < 2 && back <= slice; back++)
        if (make_challenge(server, slice - back, hello, challenge) == OURO_OK &&
            ouro_equal(challenge, hello->challenge, sizeof challenge))
            return true;
    return false;
}
