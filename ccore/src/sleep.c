#include "ouroboros/sleep.h"

#include "bytes.h"
#include "crypto.h"
#include "link_state.h"
#include "numbers.h"
#include "packet_internal.h"
#include "path_internal.h"
#include "sessions_internal.h"
#include "stalled_internal.h"
#include <string.h>

/*
 * The saved form: "OUROSLP2", the fields in the order of `exchange`, the slots, SHA-256 of it all.
 * One function walks the fields for both directions, so that they cannot differ.
 */
static const uint8_t magic[8] = {'O', 'U', 'R', 'O', 'S', 'L', 'P', '2'};

enum { DIGEST = 32 };
/* An age that no clock comes to, so that sums with it do not wrap. */
#define AGE_MAX_MS (UINT64_MAX / 2)

size_t ouro_saved_size(uint8_t reach) {
    return OURO_SAVED_SIZE(reach);
}

typedef struct cursor {
    uint8_t *at, *end;
    bool saving;
    bool short_of;
} cursor;

static void bytes(cursor *c, uint8_t *data, size_t len) {
    if ((size_t)(c->end - c->at) < len) {
        c->short_of = true;
        return;
    }
    if (c->saving)
        memcpy(c->at, data, len);
    else
        memcpy(data, c->at, len);
    c->at += len;
}

static void number(cursor *c, uint64_t *value) {
    uint8_t wire[8];
    store_u64(wire, *value);
    bytes(c, wire, sizeof wire);
    *value = load_u64(wire);
}

static void small(cursor *c, uint32_t *value) {
    uint8_t wire[4];
    store_u32(wire, *value);
    bytes(c, wire, sizeof wire);
    *value = load_u32(wire);
}

static void exchange_tail(cursor *c, ouro_tail *tail) {
    uint32_t body = tail->peer_max_body, reach = tail->peer_reach;
    small(c, &tail->id);
    small(c, &reach);
    small(c, &body);
    tail->peer_reach = (uint8_t)reach;
    tail->peer_max_body = (uint16_t)body;
    if (!ouro_terms_fit(reach, body) || tail->id == 0)
        c->short_of = true;
    bytes(c, tail->tx_control, sizeof tail->tx_control);
    bytes(c, tail->rx_control, sizeof tail->rx_control);
    number(c, &tail->tx_control_next);
    number(c, &tail->rx_control_next);
    number(c, &tail->rx_control_seen);
    small(c, &tail->tx_next);
    small(c, &tail->acked_next);
    number(c, &tail->done_next);
    number(c, &tail->done_bitmap);
}

/* The prepared message's keys: the chain has moved past them. */
static void exchange_prepared(cursor *c, ouro_session *session) {
    ouro_prepared *prepared = session->prepared;
    uint32_t keyed = prepared != NULL && prepared->keyed;
    uint8_t none[64] = {0};
    small(c, &keyed);
    if (!c->saving && keyed != 0 && prepared == NULL)
        c->short_of = true;
    bytes(c, keyed != 0 && prepared != NULL ? prepared->secret : none, sizeof none);
    if (prepared != NULL)
        prepared->keyed = keyed != 0;
    ouro_erase(none, sizeof none);
}

static void exchange_slot(cursor *c, ouro_slot *slot) {
    uint32_t head = (uint32_t)slot->state << 24 | (uint32_t)slot->flags << 16 | slot->length;
    small(c, &head);
    slot->state = (uint8_t)(head >> 24);
    slot->flags = (uint8_t)(head >> 16);
    slot->length = (uint16_t)head;
    if (slot->state != OURO_SLOT_KEYED && slot->state != OURO_SLOT_OPENED)
        c->short_of = true;
    bytes(c, slot->secret, slot->state == OURO_SLOT_KEYED ? sizeof slot->secret : OURO_TAG_SIZE);
}

static void exchange_window(cursor *c, ouro_window *window) {
    uint32_t reach = window->reach;
    small(c, &reach);
    number(c, &window->keyed);
    number(c, &window->next);
    small(c, &window->received);
    bytes(c, window->chain_enc, sizeof window->chain_enc);
    bytes(c, window->chain_scr, sizeof window->chain_scr);
    if (reach != window->reach || window->keyed < window->next ||
        window->keyed > window->next + reach || window->next > OURO_COUNTER_LIMIT)
        c->short_of = true;
    uint64_t lowest = window->next > reach ? window->next - reach : 0;
    for (uint64_t n = lowest; n < window->keyed && !c->short_of; n++)
        exchange_slot(c, &window->slots[(uint32_t)n % (2u * reach)]);
}

/* How old the session is, since when nothing was heard, and how old it was then. */
typedef struct history {
    uint64_t age, silence;
    uint32_t lived;
} history;

static void exchange(cursor *c, ouro_link *link, ouro_session *session, history *past) {
    uint8_t head[8];
    ouro_credential who = link->memory->client->credential;
    memcpy(head, magic, sizeof head);
    bytes(c, head, sizeof head);
    bytes(c, who.device_id, sizeof who.device_id);
    number(c, &who.epoch);
    const ouro_credential *mine = &link->memory->client->credential;
    if (memcmp(head, magic, sizeof head) != 0 || who.epoch != mine->epoch ||
        memcmp(who.device_id, mine->device_id, sizeof who.device_id) != 0)
        c->short_of = true;
    ouro_erase(&who, sizeof who);
    exchange_tail(c, &session->tail);
    bytes(c, session->tx_enc, sizeof session->tx_enc);
    bytes(c, session->tx_scr, sizeof session->tx_scr);
    exchange_prepared(c, session);
    number(c, &past->age);
    number(c, &past->silence);
    small(c, &past->lived);
    number(c, &session->gap_next);
    small(c, &link->srtt8);
    small(c, &link->rttvar4);
    exchange_window(c, &session->window);
}

static ouro_status digest(const uint8_t *data, size_t len, uint8_t out[DIGEST]) {
    ouro_span span = {data, len};
    return ouro_sha256(&span, 1, out);
}

/* Every message that was opened was handed on, too. */
static bool all_done(const ouro_session *session) {
    const ouro_window *window = &session->window;
    ouro_ack_block block = {0, 0};
    bool any = ouro_tail_ack_block(&session->tail, &block);
    for (uint64_t n = window->next; n-- > 0;) {
        const ouro_slot *slot = ouro_window_slot(window, n);
        if (slot == NULL)
            return true;
        if (slot->state == OURO_SLOT_OPENED && !(any && ouro_ack_block_names(&block, n)))
            return false;
    }
    return true;
}

bool ouro_link_is_quiet(const ouro_link *link) {
    const ouro_session *session = ouro_sessions_newest(link);
    const uint16_t owed = TAIL_UNCONFIRMED | TAIL_OWES | TAIL_OWES_AGAIN | TAIL_GAP |
                          TAIL_BUSY_DUE | TAIL_BUSY_SENT | TAIL_OPEN_DUE | TAIL_CLOSE_DUE |
                          TAIL_RETIRING | TAIL_NO_NEW;
    const uint32_t under_way = LINK_HOLD | LINK_CLOSING | LINK_CLOSED | LINK_PING_OUT |
                               LINK_PING_DUE | LINK_PONG_DUE | LINK_DEAD | LINK_SUSPECT;
    return session != NULL && link->settings->role == OURO_CLIENT && !link->settings->stream &&
           link->live[1] == NULL && (session->tail.state & owed) == 0 &&
           session->tail.close_phase == CLOSE_NONE && (link->flags & under_way) == 0 &&
           link->queue == NULL && link->flight == NULL && link->ended == NULL &&
           !link->inbox_full && !ouro_client_busy(link) && link->wait_until_ms == 0 &&
           all_done(session);
}

/* What has passed of the time `whole` that ends at `end`; all of it, where it is over. */
static uint64_t gone(uint64_t now, uint64_t end, uint64_t whole) {
    uint64_t left = end > now ? end - now : 0;
    return whole - OURO_MIN(left, whole);
}

/* When the rest of it is over. */
static uint64_t rest(uint64_t now, uint64_t passed, uint64_t whole) {
    return whole == OURO_NEVER ? whole : ouro_after(now, whole - OURO_MIN(passed, whole));
}

ouro_status ouro_link_save(ouro_link *link, uint64_t now, uint8_t *out, size_t cap, size_t *len) {
    if (!ouro_link_is_quiet(link))
        return OURO_ERR_STATE;
    if (cap < DIGEST)
        return OURO_ERR_TOO_LARGE;
    ouro_session *session = ouro_sessions_newest(link);
    cursor c = {out, out + cap - DIGEST, true, false};
    const ouro_client *client = link->memory->client;
    history past = {now - client->welcome_ms, gone(now, link->ask_ms, ouro_path_silence(link)),
                    client->lived_ms};
    exchange(&c, link, session, &past);
    ouro_status status = c.short_of ? OURO_ERR_TOO_LARGE : OURO_OK;
    if (status == OURO_OK)
        status = digest(out, (size_t)(c.at - out), c.at);
    if (status != OURO_OK) {
        ouro_erase(out, cap);
        return status;
    }
    *len = (size_t)(c.at - out) + DIGEST;
    ouro_stalled_end(link, &session->tail);
    ouro_session_erase(session);
    memset(link->live, 0, sizeof link->live);
    link->flags |= LINK_ASLEEP;
    return OURO_OK;
}

static ouro_status restore(ouro_link *link, uint64_t now, uint64_t slept, uint8_t *saved,
                           size_t len) {
    uint8_t sum[DIGEST];
    if (len < DIGEST)
        return OURO_ERR_DAMAGED;
    ouro_status status = digest(saved, len - DIGEST, sum);
    if (status != OURO_OK)
        return status;
    if (!ouro_equal(sum, saved + len - DIGEST, DIGEST))
        return OURO_ERR_DAMAGED;
    ouro_slot *slots;
    ouro_session *session = ouro_sessions_new(link, &slots);
    memset(session, 0, sizeof *session);
    ouro_window_init(&session->window, slots, link->settings->reach);
    session->tail.state = OURO_TAIL_FULL;
    session->prepared = link->memory->prepared;
    cursor c = {saved, saved + len - DIGEST, false, false};
    history past = {0, 0, 0};
    uint32_t srtt8 = link->srtt8, rttvar4 = link->rttvar4;
    exchange(&c, link, session, &past);
    if (c.short_of || c.at != c.end) {
        link->srtt8 = srtt8;
        link->rttvar4 = rttvar4;
        ouro_session_erase(session);
        return OURO_ERR_DAMAGED;
    }
    srtt8 = link->srtt8;
    rttvar4 = link->rttvar4;
    ouro_sessions_enter(link, session, now);
    link->srtt8 = srtt8;
    link->rttvar4 = rttvar4;
    uint64_t age = OURO_MIN(ouro_after(past.age, slept), AGE_MAX_MS);
    session->renew_ms = rest(now, age, ouro_sessions_rekey_age(link));
    link->memory->client->lived_ms = past.lived;
    link->memory->client->welcome_ms = now - age;
    link->heard_ms = link->sent_ms = now;
    /* After a sleep of unknown length the first message asks whether the server is there. */
    uint64_t silence = slept != 0 ? ouro_after(past.silence, slept) : UINT64_MAX;
    link->ask_ms = rest(now, silence, ouro_path_silence(link));
    link->flags &= (uint16_t)~LINK_ASLEEP;
    return OURO_OK;
}

ouro_status ouro_link_restore(ouro_link *link, uint64_t now, uint64_t slept, uint8_t *saved,
                              size_t len) {
    ouro_status status = OURO_ERR_STATE;
    if (link->settings->role == OURO_CLIENT && link->live[0] == NULL && !ouro_client_busy(link) &&
        !link->settings->stream && !(link->flags & (LINK_CLOSING | LINK_CLOSED)))
        status = restore(link, now, slept, saved, len);
    ouro_erase(saved, len);
    return status;
}
