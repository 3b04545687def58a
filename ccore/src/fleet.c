#include "ouroboros/fleet.h"

#include "bytes.h"
#include "crypto.h"
#include "ratchet_internal.h"
#include <string.h>

enum { AT_RUN = 4, AT_TIME = 20, AT_NUMBER = 28, CONTEXT_SIZE = 2 + OURO_RUN_SIZE };

static ouro_status derive(ouro_aead *aead, const uint8_t secret[32], uint8_t from, uint8_t to,
                          const uint8_t run[OURO_RUN_SIZE]) {
    uint8_t context[CONTEXT_SIZE] = {from, to}, key[OURO_KEY_SIZE];
    memcpy(context + 2, run, OURO_RUN_SIZE);
    ouro_status status = ouro_fleet_forward_key(secret, context, sizeof context, key);
    if (status == OURO_OK)
        status = ouro_aead_init(aead, key);
    ouro_erase(key, sizeof key);
    return status;
}

static void nonce_of(uint64_t number, uint8_t nonce[12]) {
    memset(nonce, 0, 4);
    store_u64(nonce + 4, number);
}

ouro_status ouro_forwarder_init(ouro_forwarder *forwarder, const uint8_t secret[32], uint8_t from,
                                uint8_t to, const uint8_t run[OURO_RUN_SIZE]) {
    memset(forwarder, 0, sizeof *forwarder);
    forwarder->from = from;
    forwarder->to = to;
    memcpy(forwarder->run, run, OURO_RUN_SIZE);
    return derive(&forwarder->aead, secret, from, to, run);
}

ouro_status ouro_forward_seal(ouro_forwarder *forwarder, uint64_t wall, const ouro_forward *forward,
                              uint8_t *out, size_t *len) {
    const ouro_addr *address = &forward->address;
    if (address->len > sizeof address->bytes || forward->len > OURO_MAX_PACKET ||
        (forward->packet == NULL && forward->len > 0) ||
        (forward->kind != OURO_FORWARD_TO_OWNER && forward->kind != OURO_FORWARD_TO_DEVICE))
        return OURO_ERR_ARGUMENT;
    uint8_t nonce[12], *body = out + OURO_FORWARD_HEADER;
    size_t body_len = address->len + forward->len;
    out[0] = (uint8_t)forward->kind;
    out[1] = forwarder->from;
    out[2] = forwarder->to;
    out[3] = address->len;
    memcpy(out + AT_RUN, forwarder->run, OURO_RUN_SIZE);
    store_u64(out + AT_TIME, wall);
    store_u64(out + AT_NUMBER, ++forwarder->number);
    memcpy(body, address->bytes, address->len);
    if (forward->len > 0)
        memcpy(body + address->len, forward->packet, forward->len);
    nonce_of(forwarder->number, nonce);
    *len = OURO_FORWARD_HEADER + body_len + OURO_TAG_SIZE;
    return ouro_aead_seal(&forwarder->aead, nonce, out, OURO_FORWARD_HEADER, body, body_len,
                          body + body_len);
}

void ouro_forward_window_init(ouro_forward_window *window, const uint8_t secret[32], uint8_t from,
                              uint8_t to) {
    memset(window, 0, sizeof *window);
    memcpy(window->secret, secret, OURO_KEY_SIZE);
    window->from = from;
    window->to = to;
}

void ouro_forward_window_set_second(ouro_forward_window *window, const uint8_t secret[32]) {
    window->has_second = secret != NULL;
    if (secret != NULL)
        memcpy(window->second, secret, OURO_KEY_SIZE);
    else
        ouro_erase(window->second, sizeof window->second);
}

static bool is_forward(const uint8_t *data, size_t len) {
    return len >= OURO_FORWARD_HEADER + OURO_TAG_SIZE && len <= OURO_FORWARD_MAX &&
           (data[0] == OURO_FORWARD_TO_OWNER || data[0] == OURO_FORWARD_TO_DEVICE);
}

uint8_t ouro_forward_sender(const uint8_t *data, size_t len) {
    return is_forward(data, len) ? data[1] : 0;
}

static bool seen(const ouro_forward_window *window, uint64_t number) {
    if (number > window->highest)
        return false;
    uint64_t distance = window->highest - number;
    return distance == 0 || distance > 64 || (window->below >> (distance - 1) & 1) != 0;
}

static void note(ouro_forward_window *window, uint64_t number) {
    if (number < window->highest) {
        window->below |= (uint64_t)1 << (window->highest - number - 1);
        return;
    }
    uint64_t step = number - window->highest;
    window->below = step < 64 ? window->below << step : 0;
    if (step <= 64)
        window->below |= (uint64_t)1 << (step - 1);
    window->highest = number;
}

static ouro_status open_under(const ouro_forward_window *window, const uint8_t secret[32],
                              const uint8_t nonce[12], uint8_t *data, size_t body_len) {
    ouro_aead aead;
    memset(&aead, 0, sizeof aead);
    uint8_t *body = data + OURO_FORWARD_HEADER;
    ouro_status status = derive(&aead, secret, window->from, window->to, data + AT_RUN);
    if (status == OURO_OK)
        status = ouro_aead_open(&aead, nonce, data, OURO_FORWARD_HEADER, body, body_len,
                                body + body_len);
    ouro_aead_clear(&aead);
    return status;
}

/* Of another run: a packet that was recorded before the one that is known began is none. */
static ouro_status open_new_run(ouro_forward_window *window, uint64_t sent_ms,
                                const uint8_t nonce[12], uint8_t *data, size_t body_len) {
    uint8_t copy[OURO_FORWARD_MAX];
    const uint8_t *secret = window->secret;
    size_t sealed_len = body_len + OURO_TAG_SIZE;
    if (sent_ms <= window->newest_ms)
        return OURO_DROP_REPLAY;
    /* What does not open is erased. */
    memcpy(copy, data + OURO_FORWARD_HEADER, sealed_len);
    ouro_status status = open_under(window, secret, nonce, data, body_len);
    if (status == OURO_DROP_AUTH && window->has_second) {
        secret = window->second;
        memcpy(data + OURO_FORWARD_HEADER, copy, sealed_len);
        status = open_under(window, secret, nonce, data, body_len);
    }
    if (status != OURO_OK)
        return status;
    window->known = false;
    ouro_aead_clear(&window->aead);
    status = derive(&window->aead, secret, window->from, window->to, data + AT_RUN);
    memcpy(window->run, data + AT_RUN, OURO_RUN_SIZE);
    window->known = status == OURO_OK;
    window->highest = window->below = 0;
    return status;
}

ouro_status ouro_forward_open(ouro_forward_window *window, uint64_t wall, uint8_t *data, size_t len,
                              ouro_forward *forward) {
    if (!is_forward(data, len) || data[1] != window->from || data[2] != window->to)
        return OURO_DROP_MALFORMED;
    size_t body_len = len - OURO_FORWARD_HEADER - OURO_TAG_SIZE;
    uint8_t *body = data + OURO_FORWARD_HEADER, nonce[12];
    if (data[3] > sizeof forward->address.bytes || data[3] > body_len)
        return OURO_DROP_MALFORMED;
    uint64_t sent_ms = load_u64(data + AT_TIME), number = load_u64(data + AT_NUMBER);
    if ((sent_ms > wall ? sent_ms - wall : wall - sent_ms) > OURO_FORWARD_FRESH_MS)
        return OURO_DROP_AHEAD;
    bool same = window->known && memcmp(window->run, data + AT_RUN, OURO_RUN_SIZE) == 0;
    if (number == 0 || (same && seen(window, number)))
        return OURO_DROP_REPLAY;
    nonce_of(number, nonce);
    ouro_status status = same ? ouro_aead_open(&window->aead, nonce, data, OURO_FORWARD_HEADER,
                                               body, body_len, body + body_len)
                              : open_new_run(window, sent_ms, nonce, data, body_len);
    if (status != OURO_OK)
        return status;
    note(window, number);
    if (sent_ms > window->newest_ms)
        window->newest_ms = sent_ms;
    forward->kind = (ouro_forward_kind)data[0];
    memset(&forward->address, 0, sizeof forward->address);
    forward->address.len = data[3];
    memcpy(forward->address.bytes, body, data[3]);
    forward->packet = body + data[3];
    forward->len = body_len - data[3];
    return OURO_OK;
}

void ouro_forwarder_erase(ouro_forwarder *forwarder) {
    ouro_aead_clear(&forwarder->aead);
    ouro_erase(forwarder, sizeof *forwarder);
}

void ouro_forward_window_erase(ouro_forward_window *window) {
    ouro_aead_clear(&window->aead);
    ouro_erase(window, sizeof *window);
}
