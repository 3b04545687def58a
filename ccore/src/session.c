#include "session_internal.h"

#include "bytes.h"
#include "crypto.h"
#include "ouroboros/scramble.h"
#include "packet_internal.h"
#include "scramble_internal.h"
#include <stddef.h>
#include <string.h>

enum { CONTROL_WINDOW = 64 };

ouro_session *ouro_tail_full(ouro_tail *tail) {
    /* The tail is the session's first member. */
    return tail != NULL && (tail->state & OURO_TAIL_FULL) ? (ouro_session *)(void *)tail : NULL;
}

ouro_status ouro_session_init(ouro_session *session, ouro_role role, uint32_t id,
                              const uint8_t k_c2s[32], const uint8_t k_s2c[32], ouro_slot *slots,
                              uint8_t reach) {
    const uint8_t *tx = role == OURO_CLIENT ? k_c2s : k_s2c;
    const uint8_t *rx = role == OURO_CLIENT ? k_s2c : k_c2s;
    memset(session, 0, sizeof *session);
    if (slots != NULL && !ouro_reach_fits(reach))
        return OURO_ERR_ARGUMENT;
    session->tail.id = id;
    session->tail.state = OURO_TAIL_FULL;
    ouro_window_init(&session->window, slots, reach);
    memcpy(session->tx_enc, tx, OURO_KEY_SIZE);
    memcpy(session->tx_scr, tx, OURO_KEY_SIZE);
    memcpy(session->window.chain_enc, rx, OURO_KEY_SIZE);
    memcpy(session->window.chain_scr, rx, OURO_KEY_SIZE);
    ouro_status status = ouro_control_key(tx, session->tail.tx_control);
    if (status == OURO_OK)
        status = ouro_control_key(rx, session->tail.rx_control);
    /* Both direction keys are to be erased: the keys of message 0 are derived at once, section 4.
     */
    ouro_slot *slot;
    if (status == OURO_OK && slots != NULL)
        status = ouro_window_keys(&session->window, 0, &slot);
    if (status != OURO_OK)
        ouro_session_erase(session);
    return status;
}

static void make_nonce(uint32_t id, uint64_t counter, uint8_t nonce[12]) {
    store_u32(nonce, id);
    store_u64(nonce + 4, counter);
}

static ouro_status seal(const uint8_t key[32], ouro_aead *ready, uint8_t *packet,
                        const ouro_header *header) {
    uint8_t nonce[12];
    uint8_t *body = packet + OURO_HEADER_SIZE, *tag = body + header->length;
    ouro_packet_encode(header, packet);
    make_nonce(header->session_id, header->counter, nonce);
    return ready != NULL
               ? ouro_aead_seal(ready, nonce, packet, OURO_HEADER_SIZE, body, header->length, tag)
               : ouro_aead_seal_once(key, nonce, packet, OURO_HEADER_SIZE, body, header->length,
                                     tag);
}

static ouro_status unseal(const uint8_t key[32], uint8_t *packet, const ouro_header *header) {
    uint8_t nonce[12];
    uint8_t *body = packet + OURO_HEADER_SIZE;
    make_nonce(header->session_id, header->counter, nonce);
    return ouro_aead_open_once(key, nonce, packet, OURO_HEADER_SIZE, body, header->length,
                               body + header->length);
}

ouro_status ouro_tail_protect(ouro_tail *tail, uint8_t type, uint8_t flags, uint8_t *packet,
                              size_t body_len, uint64_t *counter) {
    if (type <= OURO_DATA || type > OURO_CLOSE || type == OURO_HELLO || type == OURO_WELCOME ||
        body_len > OURO_MAX_BODY)
        return OURO_ERR_ARGUMENT;
    /* The last control counters are kept for what ends a session (section 6, rekeying). */
    uint64_t limit =
        type == OURO_ACK || type == OURO_CLOSE ? OURO_COUNTER_LIMIT : OURO_COUNTER_LIMIT - 0x10000;
    if (tail->tx_control_next >= limit)
        return OURO_END_LIMIT;
    ouro_header header = {type, flags, (uint16_t)body_len, tail->id, tail->tx_control_next};
    ouro_status status = seal(tail->tx_control, NULL, packet, &header);
    if (status == OURO_OK)
        *counter = tail->tx_control_next++;
    return status;
}

static ouro_status next_keys(ouro_session *session, uint8_t secret[64]) {
    return ouro_chain_step(session->tx_enc, session->tx_scr, session->tail.tx_next, secret,
                           secret + OURO_KEY_SIZE);
}

/*
 * Chains and counter move when the packet is made, or not at all. One that cannot be made is zeroed
 * and never leaves, so that its keys are free for the next.
 */
static ouro_status protect_data(ouro_session *session, uint8_t flags, uint8_t *packet,
                                size_t body_len, uint64_t *counter) {
    ouro_tail *tail = &session->tail;
    if (tail->tx_next == UINT32_MAX)
        return OURO_END_LIMIT;
    ouro_prepared *prepared = session->prepared;
    bool keyed = prepared != NULL && prepared->keyed, ready = keyed && prepared->ready;
    uint8_t keys[64], before[64];
    const uint8_t *secret = keyed ? prepared->secret : keys;
    ouro_status status = OURO_OK;
    if (!keyed) {
        memcpy(before, session->tx_enc, OURO_KEY_SIZE);
        memcpy(before + OURO_KEY_SIZE, session->tx_scr, OURO_KEY_SIZE);
        status = next_keys(session, keys);
    }
    ouro_header header = {OURO_DATA, flags, (uint16_t)body_len, tail->id, tail->tx_next};
    uint8_t *body = packet + OURO_HEADER_SIZE;
    if (status == OURO_OK)
        status = seal(secret, ready ? &prepared->aead : NULL, packet, &header);
    if (status == OURO_OK && ready && prepared->body_len == body_len)
        ouro_scramble_with(prepared->stream, body, body_len);
    else if (status == OURO_OK)
        status = ouro_scramble(secret + OURO_KEY_SIZE, body, body_len);
    if (status == OURO_OK) {
        *counter = tail->tx_next++;
        if (keyed)
            ouro_prepared_erase(prepared);
    } else if (!keyed) {
        memcpy(session->tx_enc, before, OURO_KEY_SIZE);
        memcpy(session->tx_scr, before + OURO_KEY_SIZE, OURO_KEY_SIZE);
    }
    ouro_erase(keys, sizeof keys);
    ouro_erase(before, sizeof before);
    return status;
}

ouro_status ouro_session_protect(ouro_session *session, uint8_t type, uint8_t flags,
                                 uint8_t *packet, size_t body_len, uint64_t *counter) {
    if (type != OURO_DATA)
        return ouro_tail_protect(&session->tail, type, flags, packet, body_len, counter);
    if (body_len > OURO_MAX_BODY)
        return OURO_ERR_ARGUMENT;
    return protect_data(session, flags, packet, body_len, counter);
}

ouro_status ouro_session_prepare(ouro_session *session, size_t body_len) {
    ouro_prepared *prepared = session->prepared;
    ouro_status status = OURO_OK;
    if (body_len > OURO_MAX_BODY)
        return OURO_ERR_ARGUMENT;
    if (prepared == NULL || session->tail.tx_next == UINT32_MAX)
        return OURO_OK;
    if (prepared->ready && prepared->body_len == body_len)
        return OURO_OK;
    if (!prepared->keyed) {
        status = next_keys(session, prepared->secret);
        if (status != OURO_OK)
            return status;
        prepared->keyed = true;
    }
    if (!prepared->ready)
        status = ouro_aead_init(&prepared->aead, prepared->secret);
    size_t size = ouro_scramble_stream_size(body_len);
    if (status == OURO_OK && size > 0 && size <= OURO_PREPARED_STREAM) {
        ouro_keystream stream;
        status = ouro_keystream_init(&stream, prepared->secret + OURO_KEY_SIZE);
        if (status == OURO_OK)
            status = ouro_keystream_read(&stream, 0, prepared->stream, size);
        ouro_keystream_clear(&stream);
        prepared->body_len = (uint16_t)body_len;
    }
    if (status != OURO_OK)
        ouro_aead_clear(&prepared->aead);
    prepared->ready = status == OURO_OK;
    return status;
}

/* The commit of a control counter: the sliding window of RFC 4303 3.4.3, with no upper bound. */
static void commit_control(ouro_tail *tail, uint64_t counter) {
    if (counter >= tail->rx_control_next) {
        uint64_t moved = counter + 1 - tail->rx_control_next;
        tail->rx_control_seen = moved < CONTROL_WINDOW ? tail->rx_control_seen << moved : 0;
        tail->rx_control_seen |= 1;
        tail->rx_control_next = counter + 1;
    } else {
        tail->rx_control_seen |= UINT64_C(1) << (tail->rx_control_next - 1 - counter);
    }
}

static bool control_is_fresh(const ouro_tail *tail, uint64_t counter) {
    if (counter >= tail->rx_control_next)
        return true;
    uint64_t below = tail->rx_control_next - 1 - counter;
    return below < CONTROL_WINDOW && ((tail->rx_control_seen >> below) & 1) == 0;
}

/* A session in a stream has no slots. */
static bool in_stream(ouro_tail *tail) {
    const ouro_session *session = ouro_tail_full(tail);
    return session != NULL && session->window.slots == NULL;
}

/* An ack block that names a counter not yet used is a protocol error (section 2). */
static ouro_status parse(ouro_tail *tail, const ouro_header *header, const uint8_t *packet,
                         ouro_body *body) {
    ouro_status status = ouro_body_parse(header, packet + OURO_HEADER_SIZE, in_stream(tail), body);
    if (status == OURO_OK && body->has_acks && body->acks.highest >= tail->tx_next)
        status = OURO_DROP_NONSENSE;
    return status;
}

ouro_status ouro_tail_open(ouro_tail *tail, const ouro_header *header, uint8_t *packet,
                           ouro_body *body) {
    if (header->session_id != tail->id)
        return OURO_DROP_SESSION;
    if (!control_is_fresh(tail, header->counter))
        return OURO_DROP_REPLAY;
    ouro_status status = unseal(tail->rx_control, packet, header);
    if (status != OURO_OK)
        return status;
    commit_control(tail, header->counter);
    return parse(tail, header, packet, body);
}

ouro_status ouro_session_check(const ouro_session *session, const ouro_header *header,
                               const uint8_t *packet) {
    const ouro_window *window = &session->window;
    /* A stream brings counters in order without a gap. */
    if (window->slots == NULL)
        return header->counter == window->next ? OURO_OK : OURO_DROP_REPLAY;
    return ouro_window_check(window, header->counter, packet + OURO_HEADER_SIZE + header->length);
}

static ouro_status open_with(const uint8_t secret[64], const ouro_header *header, uint8_t *packet) {
    ouro_status status =
        ouro_unscramble(secret + OURO_KEY_SIZE, packet + OURO_HEADER_SIZE, header->length);
    return status == OURO_OK ? unseal(secret, packet, header) : status;
}

/* In a stream one message's keys at a time are enough. */
static ouro_status open_in_stream(ouro_session *session, const ouro_header *header, uint8_t *packet,
                                  ouro_body *body) {
    ouro_window *window = &session->window;
    uint8_t secret[64];
    ouro_status status = ouro_chain_step(window->chain_enc, window->chain_scr, header->counter,
                                         secret, secret + OURO_KEY_SIZE);
    window->keyed = header->counter + 1;
    if (status == OURO_OK)
        status = open_with(secret, header, packet);
    ouro_erase(secret, sizeof secret);
    if (status != OURO_OK)
        return status;
    window->next++;
    window->received++;
    return parse(&session->tail, header, packet, body);
}

ouro_status ouro_session_open_checked(ouro_session *session, const ouro_header *header,
                                      uint8_t *packet, ouro_body *body) {
    ouro_window *window = &session->window;
    const uint8_t *tag = packet + OURO_HEADER_SIZE + header->length;
    ouro_slot *slot;
    if (window->slots == NULL)
        return open_in_stream(session, header, packet, body);
    ouro_status status = ouro_window_keys(window, header->counter, &slot);
    if (status == OURO_OK)
        status = open_with(slot->secret, header, packet);
    if (status != OURO_OK)
        return status;
    status = parse(&session->tail, header, packet, body);
    /* What does not parse is owed nothing, its duplicates neither. */
    ouro_window_commit(window, header->counter, tag, status == OURO_OK ? header->flags : 0,
                       header->length);
    return status;
}

ouro_status ouro_session_open(ouro_session *session, const ouro_header *header, uint8_t *packet,
                              ouro_body *body) {
    if (header->session_id != session->tail.id)
        return OURO_DROP_SESSION;
    ouro_status status = ouro_session_check(session, header, packet);
    return status == OURO_OK ? ouro_session_open_checked(session, header, packet, body) : status;
}

void ouro_tail_done(ouro_tail *tail, uint64_t counter) {
    if (counter >= tail->done_next) {
        uint64_t moved = counter + 1 - tail->done_next;
        /* The bit of the highest so far, which the block names outside its bitmap, comes in. */
        uint64_t bitmap = tail->done_bitmap;
        if (tail->done_next > 0)
            bitmap = moved <= 64 ? ((bitmap << 1 | 1) << (moved - 1)) : 0;
        tail->done_bitmap = bitmap;
        tail->done_next = counter + 1;
    } else {
        uint64_t below = tail->done_next - 1 - counter;
        if (below >= 1 && below <= 64)
            tail->done_bitmap |= UINT64_C(1) << (below - 1);
    }
}

bool ouro_tail_ack_block(const ouro_tail *tail, ouro_ack_block *block) {
    if (tail->done_next == 0)
        return false;
    block->highest = tail->done_next - 1;
    block->bitmap = tail->done_bitmap;
    return true;
}

void ouro_prepared_erase(ouro_prepared *prepared) {
    if (prepared->ready)
        ouro_aead_clear(&prepared->aead);
    ouro_erase(prepared->secret, sizeof *prepared - offsetof(ouro_prepared, secret));
}

void ouro_tail_erase(ouro_tail *tail) {
    ouro_erase(tail, sizeof *tail);
}

void ouro_session_erase(ouro_session *session) {
    if (session->prepared != NULL)
        ouro_prepared_erase(session->prepared);
    ouro_window_erase(&session->window);
    ouro_erase(session, sizeof *session);
}
